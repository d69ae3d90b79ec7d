// What is over and need not be told of any more: deleted clusters, task definitions in deletion that nothing names, and
// the idempotency tokens of RunTask. Services and tasks are erased by the loop itself, when their own timers are due.
//
// Found by walking over them, a bounded number at a time, when the first of them is due and not more often than every
// `pause_ms`: a walk costs what is kept, not what happens.
//
// Thread: the state thread.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "records/task_index.h"
#include "state/store.h"

namespace berth::control {

struct RetentionSettings {
  int64_t inactive_kept_ms = 3'600'000;    // INACTIVE clusters and services, and deleted definitions, stay so long
  int64_t token_kept_ms = 24 * 3'600'000;  // and as long as one of its tasks can be described
  int64_t pause_ms = 10 * 60'000;
};

class Retention {
 public:
  // Borrowed; both outlive it. The first walk is due at once.
  Retention(state::Store& store, const records::TaskIndex& index, RetentionSettings settings);
  ~Retention();
  Retention(const Retention&) = delete;
  Retention& operator=(const Retention&) = delete;

  // Goes on with a walk, or begins one that is due. When to be called again: absent for not before something changes.
  std::optional<TimeMs> run(TimeMs now_ms);

 private:
  struct Verdict {
    TimeMs due_at_ms = 0;                // 0: never
    std::vector<std::string> also = {};  // keys that go with it
  };
  Verdict judge(const state::Entry& entry, TimeMs now_ms) const;
  Verdict judge_token(const state::Entry& entry, TimeMs now_ms) const;
  Verdict judge_definition(const state::Entry& entry, TimeMs now_ms) const;
  bool is_named(const records::keys::DefinitionPath& definition) const;
  void on_change(const state::WatchBatch& batch);
  void sooner(TimeMs at_ms);
  void erase(const state::Entry& entry, const Verdict& verdict);

  state::Store& store_;
  const records::TaskIndex& index_;
  const RetentionSettings settings_;
  std::vector<state::WatchId> watches_;
  TimeMs next_at_ms_ = 1;  // 0: no walk is due; 1: at once
  TimeMs not_before_ms_ = 0;
  // The walk that is under way.
  bool walking_ = false;
  size_t kind_ = 0;
  std::string after_;
};

}  // namespace berth::control
