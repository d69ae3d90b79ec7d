// What AWS's rules say of one connection, step by step, as the VPC User Guide tells them: a small model that knows nothing of
// nftables. `berth net why` shows its steps; the property test compares packets with it. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/host_network.h"

namespace berth::dataplane {

struct Question {
  int protocol = 6;         // 1, 6 or 17
  int port = 0;             // of the destination; for ICMP its type, of which 8 (echo) expects an answer
  int source_port = 49152;  // where answers go: network ACLs do not know that they are answers
};

struct Step {
  bool passes = true;
  std::string what;  // "sg-1 lets in tcp 80 from 0.0.0.0/0 (sgr-1)"
};

struct Verdict {
  bool passes() const { return steps.empty() || steps.back().passes; }
  std::vector<Step> steps;  // in the order of the packet; the first that does not pass is the last
};

// From an interface of one VPC to an address: a private one of the same VPC, or any public one.
Verdict judge(const HostNetwork& network, const std::string& vpc, const std::string& interface, Ipv4 to,
              const Question& question);

// From outside all VPCs (or from the host, which is outside as well) to a public address.
Verdict judge_from_outside(const HostNetwork& network, Ipv4 from, Ipv4 to, const Question& question);

// A flow that the connection tracking knows, by the addresses that it has inside the VPC.
struct Flow {
  int protocol = 6;
  Ipv4 source;
  Ipv4 destination;
  int source_port = 0;
  int destination_port = 0;
};

// AWS does not track TCP and UDP flows that a rule for 0.0.0.0/0 admits where another lets everything out the other way: such
// end with their rule. True where `flow`, into (`ingress`) or out of an interface, was one and no rule permits it now.
using Groups = std::map<std::string, GroupNet>;
bool ends_with_its_rule(const Groups& groups_before, const std::vector<std::string>& members_before,
                        const Groups& groups_after, const std::vector<std::string>& members_after, bool ingress,
                        const Flow& flow, const std::map<Ipv4, std::vector<std::string>>& members);

// Groups that have lost a rule for 0.0.0.0/0, in either direction.
std::vector<std::string> groups_that_lost_an_open_rule(const Groups& before, const Groups& after);

}  // namespace berth::dataplane
