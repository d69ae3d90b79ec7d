// The name servers that the host itself asks: where a VPC's resolver addresses lead. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/ipv4.h"

namespace berth::dataplane {

struct Upstreams {
  std::vector<Ipv4> usable;  // in the order of the file, each once, at most kResolversMax
  // Where none is usable: the first on 127.0.0.0/8, which only the host itself reaches as it is.
  std::optional<Ipv4> loopback;
  bool ipv6_only = false;  // servers are named, but none over IPv4
  bool operator==(const Upstreams&) const = default;
};

// The text of a resolv.conf(5).
Upstreams parse_resolv_conf(std::string_view text);

}  // namespace berth::dataplane
