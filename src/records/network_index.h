// What must be known of networks without ranging: who names whom, and which addresses are in use. Kept in step with the head by
// the store (state::Index), on the state thread only.
//
// A record's references are listed once, in network_index.cc. "The subnet is in use", "the group is referenced", "the gateway
// is a route's target" are all the same question to this index; so are an interface's group members.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"
#include "records/keys.h"
#include "state/store.h"

namespace berth::records {

class NetworkIndex final : public state::Index {
 public:
  // Feeds itself from the store; borrowed by it, so it must outlive the store's use.
  explicit NetworkIndex(state::Store& store);

  void changed(const std::string& key, const state::ValuePtr& before, const state::ValuePtr& after) override;

  // Keys of the records that name the object, ascending; with a kind (ec2_kinds), only those. A VPC's are its subnets, groups,
  // tables …; a group's are its interfaces, its own rules, and the rules of others that name it as their peer.
  std::vector<std::string> naming(std::string_view id, std::string_view kind = {}) const;
  bool is_named(std::string_view id, std::string_view kind = {}) const;

  // Private addresses of a subnet's interfaces, secondary ones included.
  int64_t used_in_subnet(std::string_view subnet_id) const;
  bool is_used(std::string_view subnet_id, Ipv4 address) const;
  // The next free address of the subnet after the one given out last: an address comes back as late as can be, so that what
  // peers still hold of a dead task does not meet its successor. The first four and the last are never given (VPC User Guide).
  // Nothing where the subnet is full. `also` are taken too: those of the same transaction.
  std::optional<Ipv4> free_address(std::string_view subnet_id, const Ipv4Network& cidr,
                                   const std::set<Ipv4>& also = {}) const;
  // AWS's availableIpAddressCount.
  int64_t available(std::string_view subnet_id, const Ipv4Network& cidr) const;

  // Public addresses: of interfaces and Elastic IPs, in every account and region: one machine has one pool. The pool's first
  // and last address are not given.
  bool is_used_publicly(Ipv4 address) const { return public_.used.contains(address); }
  std::optional<Ipv4> free_public_address(const Ipv4Network& pool, const std::set<Ipv4>& also = {}) const;

 private:
  struct Block {
    std::set<Ipv4> used;
    Ipv4 latest;
  };
  void count(Block& block, Ipv4 address, bool added);

  std::map<std::string, std::set<std::string>, std::less<>> naming_;  // by id
  std::map<std::string, Block, std::less<>> subnets_;
  Block public_;
};

// Whether the address may be an interface's in the subnet.
inline constexpr uint32_t kSubnetAddressesReserved = 5;  // the first four and the last
bool is_assignable(const Ipv4Network& subnet, Ipv4 address);

}  // namespace berth::records
