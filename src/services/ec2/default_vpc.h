// The default VPC of a region, with everything that it has on AWS: three subnets that give public addresses, an attached
// internet gateway, a main route table with a way out, a network ACL, a security group with its two rules, DHCP options. Made at
// the region's first use; once its user has deleted it, only CreateDefaultVpc makes another. Pure: writes go into the caller's
// transaction.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ipv4.h"
#include "base/random.h"
#include "records/keys.h"
#include "records/network.h"
#include "services/handler.h"
#include "state/store.h"

namespace berth::services::ec2 {

inline constexpr std::string_view kZoneLetters = "abc";

// Where a new default VPC lies: the first block, or the next of the same size below it in the same private range, that overlaps
// nothing that is known; where all are taken, the first one again (VPCs may have equal blocks).
Ipv4Network default_block(const state::Store& store, const Network& network);

// Makes the region's first default VPC, and completes one that an older Berth has written. Nothing where all is there.
void ensure_default_vpc(const state::Store& store, const records::Scope& scope, const Network& network, Random& random,
                        state::Transaction& transaction);
// Makes one, whatever was before; `dhcp_options_id`: the region's, empty at first. Its id.
std::string make_default_vpc(const records::Scope& scope, const Ipv4Network& block, const std::string& dhcp_options_id,
                             Random& random, state::Transaction& transaction);
// One transaction for each default VPC, of every account and region, that an older Berth has written.
std::vector<state::Transaction> complete_default_vpcs(const state::Store& store, Random& random);

// Its id in the head; empty: there is none.
std::string default_vpc_id(const state::Store& store, const records::Scope& scope);

// The three things that every new VPC gets; also a default one. They are named in `vpc`, which the caller records.
void make_companions(const records::Scope& scope, records::Vpc& vpc, Random& random, state::Transaction& transaction);

// Records that a VPC has; pure.
records::Route local_route(std::string cidr);
std::vector<records::NetworkAclEntry> default_acl_entries(bool allowing);

}  // namespace berth::services::ec2
