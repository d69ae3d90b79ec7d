#include "sim/authored_store.h"

#include <array>

#include "records/keys.h"

namespace berth::sim {
namespace {

namespace keys = records::keys;

// From records/keys.h. What is over is erased by control, the one exception to one writer a key.
bool may_write(Author author, const state::Write& write) {
  const auto is = [&](std::string_view kind) { return write.key.starts_with(kind); };
  const bool of_task = is(keys::kTaskSpec) || is(keys::kTaskTags) || is(keys::kTaskIntent) || is(keys::kTaskStatus) ||
                       is(keys::kTaskObserved);
  switch (author) {
    case Author::user:
      return !is(keys::kServiceStatus) && !is(keys::kServiceEvent) && !is(keys::kTaskStatus) &&
             !is(keys::kTaskObserved) && !is("ec2/interface/") && !is(keys::kHost) && !is(keys::kHostLease) &&
             !is("host/");
    case Author::control:
      return is(keys::kServiceStatus) || is(keys::kServiceEvent) || is(keys::kTaskStatus) || is(keys::kTaskSpec) ||
             is("ec2/interface/") || is(keys::kHost) || is("host/") ||
             (!write.value && (of_task || is(keys::kServiceSpec) || is(keys::kToken) || is("ec2/tags/")));
    case Author::agent: return is(keys::kTaskObserved) || is(keys::kHostLease);
  }
  return false;
}

}  // namespace

tl::expected<state::Revision, state::Refusal> AuthoredStore::apply(state::Transaction transaction) {
  static constexpr std::array kNames{"the user", "control", "the agent"};
  for (const state::Write& write : transaction.writes)
    if (!may_write(author_, write))
      violation_(std::string(kNames[static_cast<size_t>(author_)]) + " writes " + write.key);
  if (!transaction.reads.empty() && conflict_())
    return tl::unexpected(state::Refusal{state::Refusal::Kind::conflict, transaction.reads.front().key});
  const state::Transaction copy = transaction;
  auto applied = store_.apply(std::move(transaction));
  if (applied) applied_(copy, *applied);
  return applied;
}

}  // namespace berth::sim
