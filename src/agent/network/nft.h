// nftables: whole rulesets by the nft program (at the making of a VPC, never on the launch path), elements of sets by
// netlink directly. So libnftables is not part of the daemon.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/network/netlink.h"
#include "base/ipv4.h"

namespace berth::network {

// Runs `nft -f -` in the calling thread's namespace: one transaction. Blocks for some milliseconds. The program holds
// `lock_fd` open: where the daemon is killed meanwhile, the next one waits until this one's rules cannot come after its own.
Result<void> load_ruleset(std::string_view text, int lock_fd = -1);

struct SetElement {
  std::string set;
  Ipv4 address;
};

// All in one transaction, in the socket's namespace, in a table of family ip. Present ones may be added again.
Result<void> add_elements(NetlinkSocket& socket, std::string_view table, const std::vector<SetElement>& elements);
// Absent elements and sets are no error.
Result<void> remove_elements(NetlinkSocket& socket, std::string_view table, const std::vector<SetElement>& elements);
Result<std::vector<SetElement>> list_elements(NetlinkSocket& socket, std::string_view table);

// Tables of family ip, by name.
Result<std::vector<std::string>> list_tables(NetlinkSocket& socket);
Result<void> delete_table(NetlinkSocket& socket, std::string_view table);  // an absent one is no error

}  // namespace berth::network
