#include "dataplane/upstream.h"

#include <algorithm>

#include "dataplane/vpc_layout.h"

namespace berth::dataplane {

Upstreams parse_resolv_conf(std::string_view text) {
  Upstreams upstreams;
  std::optional<Ipv4> loopback;
  size_t ipv6 = 0;
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() < text.size() ? line.size() + 1 : line.size());
    constexpr std::string_view kKeyword = "nameserver";
    if (!line.starts_with(kKeyword) || line.size() == kKeyword.size() || !blank(line[kKeyword.size()])) continue;
    line.remove_prefix(kKeyword.size());
    while (!line.empty() && blank(line.front())) line.remove_prefix(1);
    size_t end = 0;
    while (end < line.size() && !blank(line[end])) ++end;
    const std::string_view server = line.substr(0, end);
    if (const auto address = parse_ipv4(server)) {
      // 0.0.0.0 is the host itself (resolv.conf(5)).
      if (address->value >> 24 == 127 || address->value == 0) {
        if (!loopback) loopback = address->value == 0 ? Ipv4{127u << 24 | 1} : *address;
      } else if (upstreams.usable.size() < kResolversMax &&
                 std::find(upstreams.usable.begin(), upstreams.usable.end(), *address) == upstreams.usable.end()) {
        upstreams.usable.push_back(*address);
      }
    } else if (server.find(':') != server.npos) {
      ++ipv6;
    }
  }
  if (upstreams.usable.empty()) upstreams.loopback = loopback;
  upstreams.ipv6_only = upstreams.usable.empty() && !loopback && ipv6 > 0;
  return upstreams;
}

}  // namespace berth::dataplane
