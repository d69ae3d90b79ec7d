#include "dataplane/task_files.h"

#include <fmt/core.h>

namespace berth::dataplane {

std::string private_dns_domain(std::string_view region) {
  return region == "us-east-1" ? "ec2.internal" : fmt::format("{}.compute.internal", region);
}

std::string private_host_label(Ipv4 address) {
  return fmt::format("ip-{}-{}-{}-{}", address.value >> 24, address.value >> 16 & 255, address.value >> 8 & 255,
                     address.value & 255);
}

std::string private_dns_name(Ipv4 address, std::string_view region) {
  return private_host_label(address) + "." + private_dns_domain(region);
}

std::string render_hosts(Ipv4 address, std::string_view region) {
  return fmt::format("127.0.0.1 localhost\n{} {}\n", address.to_string(), private_dns_name(address, region));
}

std::string render_hostname(Ipv4 address, std::string_view region) { return private_dns_name(address, region) + "\n"; }

std::string render_resolv_conf(const std::vector<Ipv4>& resolvers, std::string_view region) {
  std::string text = fmt::format("search {}\n", private_dns_domain(region));
  for (Ipv4 resolver : resolvers) text += fmt::format("nameserver {}\n", resolver.to_string());
  return text;
}

}  // namespace berth::dataplane
