// The three files of a task's network that its containers share, and the names in them (spec: "metadata and
// credentials", Files). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"

namespace berth::dataplane {

// us-east-1 keeps its old name: ec2.internal; all others are <region>.compute.internal.
std::string private_dns_domain(std::string_view region);
// ip-172-31-16-5
std::string private_host_label(Ipv4 address);
// ip-172-31-16-5.eu-central-1.compute.internal: the interface's private DNS name, and HOSTNAME
std::string private_dns_name(Ipv4 address, std::string_view region);

std::string render_hosts(Ipv4 address, std::string_view region);
std::string render_hostname(Ipv4 address, std::string_view region);
std::string render_resolv_conf(const std::vector<Ipv4>& resolvers, std::string_view region);

}  // namespace berth::dataplane
