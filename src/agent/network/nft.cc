#include "agent/network/nft.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/assert.h"
#include "dataplane/names.h"

namespace berth::network {
namespace {

Result<Fd> memory_file(const char* name, std::string_view content) {
  Fd fd(::memfd_create(name, MFD_CLOEXEC));
  if (!fd) return fail(errno, "memfd_create");
  if (::write(fd.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return fail(errno, "write to memory file");
  }
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

constexpr uint16_t kind(uint16_t message) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message); }
nfgenmsg header_ip() { return {NFPROTO_IPV4, NFNETLINK_V0, 0}; }
nfgenmsg header_transaction() { return {AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)}; }

constexpr size_t kLinkKeyBytes = 16;  // IFNAMSIZ, padded with zeros

void verdict(NetlinkBatch& batch, std::string_view chain) {
  const size_t verdict = batch.nest(NFTA_DATA_VERDICT);
  batch.attribute_be32(NFTA_VERDICT_CODE, static_cast<uint32_t>(NFT_JUMP));
  batch.attribute_text(NFTA_VERDICT_CHAIN, chain);
  batch.unnest(verdict);
}

void element_message(NetlinkBatch& batch, uint16_t message, uint16_t flags, std::string_view table,
                     const dataplane::Element& element) {
  const std::string key_text = element.link.empty() ? element.address.to_string() : element.link;
  batch.message(kind(message), flags, header_ip(), fmt::format("element {} of set {}", key_text, element.set));
  batch.attribute_text(NFTA_SET_ELEM_LIST_TABLE, table);
  batch.attribute_text(NFTA_SET_ELEM_LIST_SET, element.set);
  const size_t elements = batch.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  const size_t one = batch.nest(NFTA_LIST_ELEM);
  const size_t key = batch.nest(NFTA_SET_ELEM_KEY);
  if (element.link.empty()) {
    batch.attribute_be32(NFTA_DATA_VALUE, element.address.value);
  } else {
    std::array<char, kLinkKeyBytes> name{};
    element.link.copy(name.data(), name.size() - 1);
    batch.attribute(NFTA_DATA_VALUE, name.data(), name.size());
  }
  batch.unnest(key);
  if (element.combination != 0 || element.target.value != 0) {
    const size_t data = batch.nest(NFTA_SET_ELEM_DATA);
    // Marks are in the machine's own byte order, addresses in the network's.
    if (element.combination != 0) {
      batch.attribute_u32(NFTA_DATA_VALUE, element.combination);
    } else {
      batch.attribute_be32(NFTA_DATA_VALUE, element.target.value);
    }
    batch.unnest(data);
  }
  batch.unnest(one);
  batch.unnest(elements);
}

void chain_message(NetlinkBatch& batch, uint16_t message, uint16_t flags, const std::string& chain) {
  batch.message(kind(message), flags, header_ip(), "chain " + chain);
  batch.attribute_text(NFTA_CHAIN_TABLE, dataplane::kVpcTable);
  batch.attribute_text(NFTA_CHAIN_NAME, chain);
}

void add_jump(NetlinkBatch& batch, const std::string& chain, const std::string& target) {
  batch.message(kind(NFT_MSG_NEWRULE), NLM_F_CREATE | NLM_F_APPEND, header_ip(), "rule of chain " + chain);
  batch.attribute_text(NFTA_RULE_TABLE, dataplane::kVpcTable);
  batch.attribute_text(NFTA_RULE_CHAIN, chain);
  const size_t expressions = batch.nest(NFTA_RULE_EXPRESSIONS);
  const size_t one = batch.nest(NFTA_LIST_ELEM);
  batch.attribute_text(NFTA_EXPR_NAME, "immediate");
  const size_t expression = batch.nest(NFTA_EXPR_DATA);
  batch.attribute_be32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
  const size_t data = batch.nest(NFTA_IMMEDIATE_DATA);
  verdict(batch, target);
  batch.unnest(data);
  batch.unnest(expression);
  batch.unnest(one);
  batch.unnest(expressions);
}

void combination_element(NetlinkBatch& batch, uint16_t message, uint16_t flags, const std::string& name,
                         const std::string& way) {
  batch.message(kind(message), flags, header_ip(), "combination " + name + way);
  batch.attribute_text(NFTA_SET_ELEM_LIST_TABLE, dataplane::kVpcTable);
  batch.attribute_text(NFTA_SET_ELEM_LIST_SET, "combinations" + way);
  const size_t elements = batch.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  const size_t one = batch.nest(NFTA_LIST_ELEM);
  const size_t key = batch.nest(NFTA_SET_ELEM_KEY);
  batch.attribute_u32(NFTA_DATA_VALUE, dataplane::number_of(name));
  batch.unnest(key);
  const size_t data = batch.nest(NFTA_SET_ELEM_DATA);
  verdict(batch, name + way);
  batch.unnest(data);
  batch.unnest(one);
  batch.unnest(elements);
}

void add_combination(NetlinkBatch& batch, const dataplane::Combination& combination) {
  for (const char* way : {"_in", "_out"}) {
    chain_message(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, combination.name + way);
    for (const std::string& group : combination.groups) {
      add_jump(batch, combination.name + way, dataplane::group_set_name(group) + way);
    }
    combination_element(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, combination.name, way);
  }
}

void remove_combination(NetlinkBatch& batch, const dataplane::Combination& combination) {
  for (const char* way : {"_in", "_out"}) {
    combination_element(batch, NFT_MSG_DELSETELEM, 0, combination.name, way);
    batch.message(kind(NFT_MSG_DELRULE), 0, header_ip(), "rules of chain " + combination.name + way);
    batch.attribute_text(NFTA_RULE_TABLE, dataplane::kVpcTable);
    batch.attribute_text(NFTA_RULE_CHAIN, combination.name + way);
    chain_message(batch, NFT_MSG_DELCHAIN, 0, combination.name + way);
  }
}

}  // namespace

Result<void> load_ruleset(std::string_view text, int lock_fd) {
  auto input = memory_file("ruleset", text);
  if (!input) return tl::unexpected(input.error());
  auto output = memory_file("nft-says", "");
  if (!output) return tl::unexpected(output.error());

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input->get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output->get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output->get(), STDERR_FILENO);
  if (lock_fd >= 0) posix_spawn_file_actions_adddup2(&actions, lock_fd, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Threads of the daemon block signals; a program must not start with them blocked.
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  char* const argv[] = {const_cast<char*>("nft"), const_cast<char*>("-f"), const_cast<char*>("-"), nullptr};
  char* const environment[] = {const_cast<char*>("LC_ALL=C"), nullptr};
  pid_t pid = -1;
  int error = ENOENT;
  // sbin is not on everybody's PATH.
  for (const char* program : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft", "/usr/local/sbin/nft"}) {
    error = ::posix_spawn(&pid, program, &actions, &attributes, argv, environment);
    if (error != ENOENT) break;
  }
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error == ENOENT) return fail("the program nft is not installed; install Debian's package nftables");
  if (error != 0) return fail(error, "start nft");
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return fail(errno, "wait for nft");
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  char says[1024];
  const ssize_t size = ::pread(output->get(), says, sizeof says, 0);
  std::string message(says, size > 0 ? static_cast<size_t>(size) : 0);
  while (!message.empty() && message.back() == '\n') message.pop_back();
  return fail("nft refuses the ruleset: " + message);
}

Result<void> apply_elements(NetlinkSocket& socket, const dataplane::Delta& delta) {
  BERTH_ASSERT(!delta.structural());
  if (delta.empty()) return {};
  NetlinkBatch batch;
  batch.marker(NFNL_MSG_BATCH_BEGIN, header_transaction());
  for (const dataplane::Combination& combination : delta.combinations_added) add_combination(batch, combination);
  for (const dataplane::Element& element : delta.elements_removed) {
    element_message(batch, NFT_MSG_DELSETELEM, 0, dataplane::kVpcTable, element);
  }
  for (const dataplane::Element& element : delta.elements_added) {
    element_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, dataplane::kVpcTable, element);
  }
  for (const dataplane::Combination& combination : delta.combinations_removed) remove_combination(batch, combination);
  batch.marker(NFNL_MSG_BATCH_END, header_transaction());
  return socket.send(batch);
}

Result<void> change_addresses(NetlinkSocket& socket, const AddressChange& change) {
  if (change.added.empty() && change.removed.empty()) return {};
  NetlinkBatch batch;
  batch.marker(NFNL_MSG_BATCH_BEGIN, header_transaction());
  for (const Ipv4 address : change.removed) {
    // Added first, so that removing an absent one is no failure.
    const dataplane::Element element{change.set, {}, address, 0, {}};
    element_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, change.table, element);
    element_message(batch, NFT_MSG_DELSETELEM, 0, change.table, element);
  }
  for (const Ipv4 address : change.added) {
    element_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, change.table, {change.set, {}, address, 0, {}});
  }
  batch.marker(NFNL_MSG_BATCH_END, header_transaction());
  return socket.send(batch);
}

Result<std::vector<Ipv4>> list_addresses(NetlinkSocket& socket, std::string_view table, std::string_view set) {
  std::vector<Ipv4> addresses;
  NetlinkBatch request;
  request.message(kind(NFT_MSG_GETSETELEM), NLM_F_DUMP, header_ip(), "list elements of " + std::string(set));
  request.attribute_text(NFTA_SET_ELEM_LIST_TABLE, table);
  request.attribute_text(NFTA_SET_ELEM_LIST_SET, set);
  auto read = socket.query(request, [&](const nlmsghdr&, std::string_view body) {
    if (body.size() < sizeof(nfgenmsg)) return;
    const Attributes attributes(body.data() + sizeof(nfgenmsg), body.size() - sizeof(nfgenmsg));
    Attributes::each(attributes.get(NFTA_SET_ELEM_LIST_ELEMENTS), [&](uint16_t, std::string_view element) {
      const std::string_view key = Attributes(element.data(), element.size()).get(NFTA_SET_ELEM_KEY);
      const std::string_view value = Attributes(key.data(), key.size()).get(NFTA_DATA_VALUE);
      uint32_t address;
      if (value.size() != sizeof address) return;
      std::memcpy(&address, value.data(), sizeof address);
      addresses.push_back({ntohl(address)});
    });
  });
  if (!read && read.error().errno_value != ENOENT) return tl::unexpected(read.error());
  return addresses;
}

Result<std::vector<std::string>> list_tables(NetlinkSocket& socket) {
  std::vector<std::string> tables;
  NetlinkBatch batch;
  batch.message(kind(NFT_MSG_GETTABLE), NLM_F_DUMP, header_ip(), "list tables");
  auto listed = socket.query(batch, [&](const nlmsghdr&, std::string_view body) {
    if (body.size() < sizeof(nfgenmsg)) return;
    const Attributes attributes(body.data() + sizeof(nfgenmsg), body.size() - sizeof(nfgenmsg));
    tables.emplace_back(attributes.text(NFTA_TABLE_NAME));
  });
  if (!listed) return tl::unexpected(listed.error());
  return tables;
}

Result<void> delete_table(NetlinkSocket& socket, std::string_view table) {
  NetlinkBatch batch;
  batch.marker(NFNL_MSG_BATCH_BEGIN, header_transaction());
  batch.message(kind(NFT_MSG_DELTABLE), 0, header_ip(), "delete table " + std::string(table));
  batch.attribute_text(NFTA_TABLE_NAME, table);
  batch.marker(NFNL_MSG_BATCH_END, header_transaction());
  return socket.send(batch, {ENOENT});
}

}  // namespace berth::network
