#include "services/ec2/cidrs.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace berth::services::ec2 {
namespace {

std::optional<int> parse_prefix(std::string_view text, int max) {
  int prefix = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), prefix);
  if (error != std::errc() || stop != text.data() + text.size() || prefix < 0 || prefix > max) return std::nullopt;
  return prefix;
}

}  // namespace

std::optional<Ipv4Network> canonical_cidr(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto address = parse_ipv4(text.substr(0, slash));
  const auto prefix = parse_prefix(text.substr(slash + 1), 32);
  if (!address || !prefix) return std::nullopt;
  const uint32_t mask = *prefix == 0 ? 0 : ~uint32_t{0} << (32 - *prefix);
  return Ipv4Network{{address->value & mask}, *prefix};
}

std::optional<std::string> canonical_ipv6_cidr(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::array<unsigned char, 16> bytes{};
  const auto prefix = parse_prefix(text.substr(slash + 1), 128);
  if (!prefix || ::inet_pton(AF_INET6, std::string(text.substr(0, slash)).c_str(), bytes.data()) != 1)
    return std::nullopt;
  for (int bit = *prefix; bit < 128; ++bit)
    bytes[static_cast<size_t>(bit / 8)] &= static_cast<unsigned char>(~(0x80 >> (bit % 8)));
  std::array<char, INET6_ADDRSTRLEN> shown{};
  ::inet_ntop(AF_INET6, bytes.data(), shown.data(), shown.size());
  return fmt::format("{}/{}", shown.data(), *prefix);
}

ApiResult<Ipv4Network> parse_cidr(std::string_view text, std::string_view parameter) {
  const auto block = canonical_cidr(text);
  if (!block)
    return refuse(
        "InvalidParameterValue",
        fmt::format("Value ({}) for parameter {} is invalid. This is not a valid CIDR block.", text, parameter));
  return *block;
}

ApiResult<Ipv4Network> parse_vpc_cidr(std::string_view text) {
  const auto block = parse_cidr(text, "cidrBlock");
  if (!block) return block;
  static const std::array<Ipv4Network, 4> kForNoHost{*parse_network("0.0.0.0/8"), *parse_network("127.0.0.0/8"),
                                                     *parse_network("169.254.0.0/16"), *parse_network("224.0.0.0/3")};
  const bool usable = std::none_of(kForNoHost.begin(), kForNoHost.end(),
                                   [&](const Ipv4Network& range) { return range.overlaps(*block); });
  if (block->prefix < kVpcPrefixMin || block->prefix > kVpcPrefixMax || !usable)
    return refuse("InvalidVpc.Range", fmt::format("The CIDR '{}' is invalid.", text));
  return block;
}

std::vector<Ipv4Network> blocks_of(const records::Vpc& vpc) {
  std::vector<Ipv4Network> blocks;
  if (const auto block = parse_network(vpc.cidr)) blocks.push_back(*block);
  for (const auto& association : vpc.secondary_cidrs)
    if (const auto block = parse_network(association.cidr)) blocks.push_back(*block);
  return blocks;
}

}  // namespace berth::services::ec2
