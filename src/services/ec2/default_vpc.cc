#include "services/ec2/default_vpc.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "records/read.h"

namespace berth::services::ec2 {
namespace {

constexpr std::array<std::string_view, 3> kPrivate{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"};

std::string prefix_of(std::string_view kind, const records::Scope& scope) {
  return records::keys::ec2(kind, scope, "");
}

// Blocks of every region and account in this store: one machine's routes are one space.
std::vector<Cidr> blocks_in_use(const state::Store& store, const Network& network) {
  std::vector<Cidr> blocks;
  for (const std::string& route : network.taken)
    if (const auto block = Cidr::parse(route)) blocks.push_back(*block);
  for (const auto& [key, vpc] : records::range<records::Vpc>(store, "ec2/vpc/"))
    if (const auto block = Cidr::parse(vpc->cidr)) blocks.push_back(*block);
  return blocks;
}

std::optional<Cidr> claimed_block(const Cidr& first, std::vector<Cidr> taken, const Network& network) {
  while (const auto block = free_block(first, taken)) {
    if (!network.claim || network.claim(block->str())) return block;
    taken.push_back(*block);
  }
  return std::nullopt;
}

DefaultVpc make(const records::Scope& scope, const Cidr& block, Random& random) {
  auto id = [&](std::string_view kind) { return fmt::format("{}-{}", kind, new_hex_id(random, 17)); };
  DefaultVpc out;
  out.vpc.id = id("vpc");
  out.vpc.cidr = block.str();
  out.vpc.main_route_table_id = id("rtb");
  out.vpc.default_security_group_id = id("sg");
  out.vpc.dhcp_options_id = id("dopt");
  out.vpc.internet_gateway_id = id("igw");
  out.security_group.id = out.vpc.default_security_group_id;
  out.security_group.vpc_id = out.vpc.id;
  out.security_group.name = "default";
  out.security_group.description = "default VPC security group";
  Cidr part{block.address, block.length + 4};
  for (const char letter : kZoneLetters) {
    records::Subnet subnet;
    subnet.id = id("subnet");
    subnet.vpc_id = out.vpc.id;
    subnet.cidr = part.str();
    subnet.availability_zone = scope.region + letter;
    part.address += part.size();
    out.subnets.push_back(std::move(subnet));
  }
  return out;
}

std::optional<DefaultVpc> existing(const state::Store& store, const records::Scope& scope) {
  for (const auto& [key, vpc] : records::range<records::Vpc>(store, prefix_of("vpc", scope))) {
    if (!vpc->is_default) continue;
    DefaultVpc out{*vpc, {}, {}};
    for (const auto& [subnet_key, subnet] : records::range<records::Subnet>(store, prefix_of("subnet", scope)))
      if (subnet->vpc_id == vpc->id && subnet->is_default) out.subnets.push_back(*subnet);
    std::sort(out.subnets.begin(), out.subnets.end(),
              [](const auto& a, const auto& b) { return a.availability_zone < b.availability_zone; });
    if (const auto group = records::get<records::SecurityGroup>(
            store, records::keys::ec2("security-group", scope, vpc->default_security_group_id)))
      out.security_group = *group;
    return out;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Cidr> Cidr::parse(std::string_view text) {
  Cidr out;
  const char* at = text.data();
  const char* end = at + text.size();
  for (int i = 0; i < 5; ++i) {
    int part = 0;
    const auto [stop, error] = std::from_chars(at, end, part);
    if (error != std::errc() || part < 0 || part > (i == 4 ? 32 : 255)) return std::nullopt;
    const char expected = i < 3 ? '.' : '/';
    if (i < 4 && (stop == end || *stop != expected)) return std::nullopt;
    if (i < 4)
      out.address = out.address << 8 | static_cast<uint32_t>(part);
    else
      out.length = part;
    at = i < 4 ? stop + 1 : stop;
  }
  const uint32_t host_bits = out.length == 0 ? ~0u : out.length == 32 ? 0u : (1u << (32 - out.length)) - 1;
  return at == end && (out.address & host_bits) == 0 ? std::optional(out) : std::nullopt;
}

std::string Cidr::str() const {
  return fmt::format("{}.{}.{}.{}/{}", address >> 24, address >> 16 & 255, address >> 8 & 255, address & 255, length);
}

bool Cidr::overlaps(const Cidr& other) const {
  const int shorter = std::min(length, other.length);
  return shorter == 0 || address >> (32 - shorter) == other.address >> (32 - shorter);
}

bool Cidr::is_private() const {
  return std::any_of(kPrivate.begin(), kPrivate.end(), [&](std::string_view text) {
    const Cidr range = *Cidr::parse(text);
    return length >= range.length && overlaps(range);
  });
}

std::optional<Cidr> free_block(const Cidr& first, const std::vector<Cidr>& taken) {
  for (Cidr block = first;; block.address -= block.size()) {
    // A default route overlaps everything and takes nothing.
    const bool used = std::any_of(taken.begin(), taken.end(),
                                  [&](const Cidr& other) { return other.length > 0 && block.overlaps(other); });
    if (!used) return block;
    if (block.address < block.size() || !Cidr{block.address - block.size(), block.length}.is_private())
      return std::nullopt;
  }
}

ApiResult<DefaultVpc> ensure_default_vpc(const state::Store& store, const records::Scope& scope, const Network& network,
                                         Random& random, state::Transaction& transaction) {
  if (auto found = existing(store, scope)) return *std::move(found);
  const auto first = Cidr::parse(network.first_cidr);
  const auto block = first && first->length >= 8 && first->length <= 24
                         ? claimed_block(*first, blocks_in_use(store, network), network)
                         : std::nullopt;
  if (!block)
    return refuse(
        "VpcLimitExceeded",
        fmt::format("No block of addresses is free for the default VPC of {}: {} and all below it are in use. "
                    "Give Berth another one with --vpc-cidr.",
                    scope.region, network.first_cidr));
  DefaultVpc made = make(scope, *block, random);
  // Two first uses at once: the second finds that the range has changed.
  transaction.reads.push_back({"ec2/vpc/", true, store.range_revision("ec2/vpc/")});
  transaction.durability = state::Durability::acknowledged;
  records::put(transaction, records::keys::ec2("vpc", scope, made.vpc.id), made.vpc);
  records::put(transaction, records::keys::ec2("security-group", scope, made.security_group.id), made.security_group);
  for (const auto& subnet : made.subnets)
    records::put(transaction, records::keys::ec2("subnet", scope, subnet.id), subnet);
  return made;
}

}  // namespace berth::services::ec2
