// `berth doctor`: what the network and images need of this machine, whether it is there, and what to do where it is not.
// Needs no running daemon and changes nothing. On the calling thread; takes some tens of milliseconds.
#pragma once

#include <string>
#include <vector>

#include "agent/network/network.h"

namespace berth::network {

enum class Health { ok, warn, fail };

struct Check {
  std::string name;  // "nftables"
  Health health = Health::ok;
  std::string purpose;  // what it is for
  std::string finding;  // what was seen
  std::string remedy;   // empty where health is ok
};

struct DoctorOptions {
  std::string run_root = kRunRoot;
  std::string vpc_cidr;  // --vpc-cidr, or empty
  std::vector<std::string> resolv_confs = {"/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"};
};

// In the order in which they should be put right. Without root only what anybody can see; the first check says so.
std::vector<Check> check_network(const DoctorOptions& options = {});

// Pure: what the rules of other firewalls, as `nft -j list ruleset` or iptables-save print them, do to forwarded packets.
struct ForwardingFirewall {
  std::string name;  // "Docker", "ufw", "firewalld", "a forward chain of table ip filter"
  std::string remedy;
};
std::vector<ForwardingFirewall> blocking_firewalls(const std::string& nft_text, const std::string& legacy_text,
                                                   const std::string& link_prefix);

}  // namespace berth::network
