// The default VPC of a region: made at the region's first use, with a subnet in each of three zones, one security group
// and one route table. Pure: writes go into the caller's transaction.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "records/keys.h"
#include "records/network.h"
#include "services/handler.h"
#include "state/store.h"

namespace berth::services::ec2 {

inline constexpr std::string_view kZoneLetters = "abc";

// An IPv4 block. The text is "a.b.c.d/n" with no bit set beyond n.
struct Cidr {
  uint32_t address = 0;
  int length = 0;

  static std::optional<Cidr> parse(std::string_view text);
  std::string str() const;
  uint32_t size() const { return length == 0 ? 0 : uint32_t{1} << (32 - length); }  // 0 means all of them
  bool overlaps(const Cidr& other) const;
  bool is_private() const;  // RFC 1918
};

// The first block, or the next of the same size below it in the same private range, that overlaps none of `taken`.
std::optional<Cidr> free_block(const Cidr& first, const std::vector<Cidr>& taken);

struct DefaultVpc {
  records::Vpc vpc;
  std::vector<records::Subnet> subnets;  // by zone
  records::SecurityGroup security_group;
};

// What is there, or what has been added to `transaction`. Refused (VpcLimitExceeded) where no block is free.
ApiResult<DefaultVpc> ensure_default_vpc(const state::Store& store, const records::Scope& scope, const Network& network,
                                         Random& random, state::Transaction& transaction);

}  // namespace berth::services::ec2
