// What one VPC's namespace has of nftables, and how it gets from one value to the next. Pure.
//
// One table. A group is a set of its members' addresses and two chains of its rules; interfaces with the same groups share
// a *combination*, two chains that jump through the groups' chains. What is an interface's own are elements of sets and maps:
//
//   forward, priority filter        replies pass; has the route table a way (rt_*)? the sender's groups, then the receiver's
//   forward, priority filter + 20   acl, only where a subnet has an ACL that refuses something: every packet, replies too
//
// Subnets are told by the device group of an interface's link (number_of its id), groups by the link's name: neither can be
// forged, and nothing of them has to be changed when routes or rules do. A link's name leads to a number and that to the
// combination's chains, since the kernel walks all that a map leads to whenever an element that leads somewhere is added.
//
//   ct mark 1               judged by nobody: questions to the resolver, and what the host sends to a private address
//   ct mark number_of(nat)  goes out through that NAT gateway
//   mark number_of(eni)     until it is routed: is led to that interface by a routing table of this number
//   mark                    after that: the combination that is asked; 1 once the sender's has permitted
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "dataplane/host_network.h"

namespace berth::dataplane {

inline constexpr std::string_view kVpcTable = "berth";
inline constexpr std::string_view kVpcUplink = "host";    // the VPC's end of its link to the host
inline constexpr std::string_view kPublicSet = "public";  // private addresses that have a public one

// How a VPC is joined to this host.
struct VpcFacts {
  Ipv4 host_end;  // of the link between them: link-local, so that a VPC may have any network
  Ipv4 vpc_end;
  bool answer_refused = true;  // false: refused packets vanish, as on AWS
  // False: questions to the VPC's resolver are turned to host_end, where the host turns them to its own name servers:
  // the first at port 53, the second at 54, the third at 55. True: a resolver listens in the VPC's namespace.
  bool resolver = false;
  bool operator==(const VpcFacts&) const = default;
};

struct Chain {
  std::string hook;  // empty: others jump to it
  std::vector<std::string> rules;
  bool operator==(const Chain&) const = default;
};

struct Ruleset {
  std::map<std::string, std::string> sets;  // by name: "set" or "map", and its type in braces
  std::map<std::string, Chain> chains;
  bool operator==(const Ruleset&) const = default;
};

// All that does not depend on single interfaces.
Ruleset render_structure(const VpcNet& structure, const VpcFacts& facts);

// A fact of one interface: in a set, or in a map to a combination's number or an address.
struct Element {
  std::string set;
  std::string link;          // either this is the key
  Ipv4 address;              // or this
  uint32_t combination = 0;  // a map's value, if any
  Ipv4 target;               // a map's value, if any
  auto operator<=>(const Element&) const = default;
};
std::vector<Element> elements_of(const InterfaceNet& interface);

struct Combination {
  std::string name;  // its chains are NAME_in and NAME_out, in the maps combinations_in and _out under number_of(name)
  std::vector<std::string> groups;
  auto operator<=>(const Combination&) const = default;
};
Combination combination_of(const InterfaceNet& interface);

// From one state of the table to the next, in this order, as one transaction.
struct Delta {
  std::vector<std::string> declared;  // commands of nft: new sets and chains, and rules of those that changed
  std::vector<Combination> combinations_added;
  std::vector<Element> elements_removed;
  std::vector<Element> elements_added;
  std::vector<Combination> combinations_removed;
  std::vector<std::string> deleted;  // commands of nft
  bool empty() const;
  // False: only elements and combinations, which need no program nft.
  bool structural() const { return !declared.empty() || !deleted.empty(); }
};
std::string to_text(const Delta& delta);

// One VPC's value and its table, kept together.
class VpcRules {
 public:
  explicit VpcRules(VpcFacts facts) : facts_(facts) {}

  // Takes the change into the value. Nothing is taken where it contradicts the value: an unknown group or subnet, a group
  // that goes while an interface has it.
  Result<Delta> change(const NetworkChange& change);
  Delta change_facts(const VpcFacts& facts);
  // Makes the table from nothing, in place of whatever is there, in one transaction.
  std::string whole() const;

  const VpcNet& value() const { return value_; }
  const VpcFacts& facts() const { return facts_; }

 private:
  Result<void> check(const NetworkChange& change) const;

  VpcFacts facts_;
  VpcNet value_;
  Ruleset ruleset_;
  std::map<std::string, std::pair<Combination, int>> combinations_;  // by name, with the interfaces that have it
};

// The VPC's routes of one table, longest prefix first, with those to its own networks (`local`), which every table has.
std::vector<RouteNet> routes_of(const VpcNet& structure, const std::string& route_table);

// Interfaces that routes lead to, by id.
std::vector<std::string> routed_interfaces(const VpcNet& structure);

}  // namespace berth::dataplane
