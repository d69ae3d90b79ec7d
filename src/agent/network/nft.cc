#include "agent/network/nft.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

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

void element_message(NetlinkBatch& batch, uint16_t message, uint16_t flags, std::string_view table,
                     const SetElement& element, const char* what) {
  batch.message(kind(message), flags, header_ip(), what + element.address.to_string() + " in set " + element.set);
  batch.attribute_text(NFTA_SET_ELEM_LIST_TABLE, table);
  batch.attribute_text(NFTA_SET_ELEM_LIST_SET, element.set);
  const size_t elements = batch.nest(NFTA_SET_ELEM_LIST_ELEMENTS);
  const size_t one = batch.nest(NFTA_LIST_ELEM);
  const size_t key = batch.nest(NFTA_SET_ELEM_KEY);
  batch.attribute_be32(NFTA_DATA_VALUE, element.address.value);
  batch.unnest(key);
  batch.unnest(one);
  batch.unnest(elements);
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

Result<void> add_elements(NetlinkSocket& socket, std::string_view table, const std::vector<SetElement>& elements) {
  if (elements.empty()) return {};
  NetlinkBatch batch;
  batch.marker(NFNL_MSG_BATCH_BEGIN, header_transaction());
  for (const SetElement& element : elements) {
    element_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, element, "add ");
  }
  batch.marker(NFNL_MSG_BATCH_END, header_transaction());
  return socket.send(batch);
}

Result<void> remove_elements(NetlinkSocket& socket, std::string_view table, const std::vector<SetElement>& elements) {
  Result<void> outcome;
  for (const SetElement& element : elements) {
    // Added first, so that removing an absent one is no failure. A transaction each: one lost set must not keep the
    // others' elements.
    NetlinkBatch batch;
    batch.marker(NFNL_MSG_BATCH_BEGIN, header_transaction());
    element_message(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, table, element, "remove ");
    element_message(batch, NFT_MSG_DELSETELEM, 0, table, element, "remove ");
    batch.marker(NFNL_MSG_BATCH_END, header_transaction());
    if (auto sent = socket.send(batch, {ENOENT}); !sent && outcome) outcome = sent;
  }
  return outcome;
}

Result<std::vector<SetElement>> list_elements(NetlinkSocket& socket, std::string_view table) {
  std::vector<std::string> sets;
  NetlinkBatch batch;
  batch.message(kind(NFT_MSG_GETSET), NLM_F_DUMP, header_ip(), "list sets");
  batch.attribute_text(NFTA_SET_TABLE, table);
  auto listed = socket.query(batch, [&](const nlmsghdr&, std::string_view body) {
    if (body.size() < sizeof(nfgenmsg)) return;
    const Attributes attributes(body.data() + sizeof(nfgenmsg), body.size() - sizeof(nfgenmsg));
    const uint32_t flags = ntohl(attributes.u32(NFTA_SET_FLAGS));
    const bool ours = attributes.text(NFTA_SET_TABLE) == table && (flags & NFT_SET_ANONYMOUS) == 0;
    if (ours) sets.emplace_back(attributes.text(NFTA_SET_NAME));
  });
  if (!listed && listed.error().errno_value == ENOENT) return std::vector<SetElement>{};
  if (!listed) return tl::unexpected(listed.error());

  std::vector<SetElement> elements;
  for (const std::string& set : sets) {
    NetlinkBatch request;
    request.message(kind(NFT_MSG_GETSETELEM), NLM_F_DUMP, header_ip(), "list elements of " + set);
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
        elements.push_back({set, {ntohl(address)}});
      });
    });
    if (!read) return tl::unexpected(read.error());
  }
  return elements;
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
