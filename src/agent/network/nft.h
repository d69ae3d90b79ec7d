// nftables: whole rulesets and changed rules by the nft program (never on the launch path), what belongs to single interfaces
// by netlink directly. So libnftables is not part of the daemon.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/network/netlink.h"
#include "base/ipv4.h"
#include "dataplane/vpc_rules.h"

namespace berth::network {

// Runs `nft -f -` in the calling thread's namespace: one transaction. Blocks for some milliseconds. The program holds
// `lock_fd` open: where the daemon is killed meanwhile, the next one waits until this one's rules cannot come after its own.
Result<void> load_ruleset(std::string_view text, int lock_fd = -1);

// A change that is not structural, as one transaction, in the socket's namespace.
Result<void> apply_elements(NetlinkSocket& socket, const dataplane::Delta& delta);

// One set of addresses, in a table of family ip, in one transaction. Present ones may be added again; absent ones may go.
struct AddressChange {
  std::string table;
  std::string set;
  std::vector<Ipv4> added;
  std::vector<Ipv4> removed;
};
Result<void> change_addresses(NetlinkSocket& socket, const AddressChange& change);
Result<std::vector<Ipv4>> list_addresses(NetlinkSocket& socket, std::string_view table, std::string_view set);

// Tables of family ip, by name.
Result<std::vector<std::string>> list_tables(NetlinkSocket& socket);
Result<void> delete_table(NetlinkSocket& socket, std::string_view table);  // an absent one is no error

}  // namespace berth::network
