#include "base/ipv4.h"

#include <fmt/core.h>

namespace berth {
namespace {

// Takes a decimal number of at most three digits from the front; nothing where there is none or it is beyond `max`.
std::optional<uint32_t> take_number(std::string_view& text, uint32_t max) {
  uint32_t value = 0;
  size_t digits = 0;
  while (digits < text.size() && digits < 4 && text[digits] >= '0' && text[digits] <= '9') {
    value = value * 10 + static_cast<uint32_t>(text[digits++] - '0');
  }
  if (digits == 0 || digits > 3 || value > max || (digits > 1 && text[0] == '0')) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

std::optional<Ipv4> take_ipv4(std::string_view& text) {
  uint32_t value = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (text.empty() || text[0] != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    const auto number = take_number(text, 255);
    if (!number) return std::nullopt;
    value = value << 8 | *number;
  }
  return Ipv4{value};
}

}  // namespace

std::string Ipv4::to_string() const {
  return fmt::format("{}.{}.{}.{}", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
}

std::string Ipv4Network::to_string() const { return fmt::format("{}/{}", base.to_string(), prefix); }

std::optional<Ipv4> parse_ipv4(std::string_view text) {
  const auto address = take_ipv4(text);
  return text.empty() ? address : std::nullopt;
}

std::optional<Ipv4Network> parse_network(std::string_view text) {
  const auto base = take_ipv4(text);
  if (!base || text.empty() || text[0] != '/') return std::nullopt;
  text.remove_prefix(1);
  const auto prefix = take_number(text, 32);
  if (!prefix || !text.empty()) return std::nullopt;
  const Ipv4Network network{*base, static_cast<int>(*prefix)};
  const uint64_t host_bits = network.size() - 1;
  if ((base->value & host_bits) != 0) return std::nullopt;
  return network;
}

}  // namespace berth
