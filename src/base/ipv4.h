// IPv4 addresses and networks as values, in host byte order.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth {

struct Ipv4 {
  uint32_t value = 0;
  auto operator<=>(const Ipv4&) const = default;
  std::string to_string() const;
};

struct Ipv4Network {
  Ipv4 base;       // host bits are zero
  int prefix = 0;  // 0 to 32
  auto operator<=>(const Ipv4Network&) const = default;
  std::string to_string() const;
  uint64_t size() const { return uint64_t{1} << (32 - prefix); }
  Ipv4 last() const { return {static_cast<uint32_t>(base.value + (size() - 1))}; }
  bool contains(Ipv4 address) const { return address >= base && address <= last(); }
  bool contains(const Ipv4Network& other) const { return other.prefix >= prefix && contains(other.base); }
  bool overlaps(const Ipv4Network& other) const { return contains(other.base) || other.contains(base); }
};

// Strict: four decimal numbers without leading zeros, nothing around them; a network's host bits must be zero.
std::optional<Ipv4> parse_ipv4(std::string_view text);
std::optional<Ipv4Network> parse_network(std::string_view text);

}  // namespace berth
