// What is over and need not be told of any more: deleted clusters, task definitions in deletion that nothing names, deleted
// and failed NAT gateways, and the idempotency tokens of RunTask and of EC2. Services and tasks are erased by the loop itself, when their own timers are due.
//
// Found by walking over them, a bounded number at a time, when the first of them is due and not more often than every
// `pause_ms`: a walk costs what is kept, not what happens.
//
// Thread: the state thread.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/clock.h"
#include "control/loop/controller.h"
#include "records/task_index.h"
#include "state/store.h"

namespace berth::control {

struct RetentionSettings {
  int64_t inactive_kept_ms = 3'600'000;    // INACTIVE clusters and services, deleted definitions and NAT gateways
  int64_t token_kept_ms = 24 * 3'600'000;  // and as long as one of its tasks can be described
  int64_t pause_ms = 10 * 60'000;
};

class Retention final : public Controller {
 public:
  // Borrowed; both outlive it. The first walk is due at once.
  Retention(state::Store& store, const records::TaskIndex& index, RetentionSettings settings)
      : store_(store), index_(index), settings_(settings) {}

  std::vector<std::string_view> prefixes() const override;
  void begin_again() override { sooner(1); }
  void changed(const state::Change& change) override;
  void decide(const std::string&, TimeMs) override {}  // it has no objects, only walks
  // Goes on with a walk, or begins one that is due.
  TimeMs idle(TimeMs now_ms) override;

 private:
  struct Verdict {
    TimeMs due_at_ms = 0;                // 0: never
    std::vector<std::string> also = {};  // keys that go with it
  };
  Verdict judge(const state::Entry& entry, TimeMs now_ms) const;
  Verdict judge_token(const state::Entry& entry, TimeMs now_ms) const;
  Verdict judge_definition(const state::Entry& entry, TimeMs now_ms) const;
  bool is_named(const records::keys::DefinitionPath& definition) const;
  void sooner(TimeMs at_ms);
  void erase(const state::Entry& entry, const Verdict& verdict);

  state::Store& store_;
  const records::TaskIndex& index_;
  const RetentionSettings settings_;
  TimeMs next_at_ms_ = 1;  // 0: no walk is due; 1: at once
  TimeMs not_before_ms_ = 0;
  // The walk that is under way.
  bool walking_ = false;
  size_t kind_ = 0;
  std::string after_;
};

}  // namespace berth::control
