#include "control/loop/loop.h"

#include <algorithm>
#include <utility>

namespace berth::control {

// A controller and its agenda.
class Loop::Entry final : public Agenda {
 public:
  Entry(Loop& loop, std::unique_ptr<Controller> controller) : controller(std::move(controller)), loop_(loop) {
    this->controller->use(*this);
  }

  void now(const std::string& object) override { dirty.insert(object); }
  void at(const std::string& object, TimeMs at_ms) override {
    if (at_ms == 0 || loop_.settings_.bug == PlantedBug::forgets_timers) {
      wake.erase(object);
      return;
    }
    TimeMs& at = wake[object];
    if (at == at_ms) return;
    at = at_ms;
    loop_.timers_.push({at_ms, this, object});
  }

  void begin_again() {
    dirty.clear();
    wake.clear();
    idle_at_ms = 1;
    controller->begin_again();
  }

  const std::unique_ptr<Controller> controller;
  std::set<std::string> dirty;
  std::unordered_map<std::string, TimeMs> wake;
  TimeMs idle_at_ms = 1;  // when idle() is due; 0: not before a change

 private:
  Loop& loop_;
};

Loop::Loop(state::Store& store, Settings settings, std::vector<std::unique_ptr<Controller>> controllers)
    : store_(store), settings_(settings) {
  for (auto& controller : controllers) {
    entries_.push_back(std::make_unique<Entry>(*this, std::move(controller)));
    Entry& entry = *entries_.back();
    for (const std::string_view prefix : entry.controller->prefixes()) watch(entry, prefix);
  }
  for (const auto& entry : entries_) entry->begin_again();
}

Loop::~Loop() {
  for (state::WatchId id : watches_) store_.cancel(id);
}

void Loop::watch(Entry& entry, std::string_view prefix) {
  watches_.push_back(store_.watch(std::string(prefix), store_.head(), [this, &entry](const state::WatchBatch& batch) {
    if (batch.compacted && settings_.bug == PlantedBug::ignores_failed_commits) return;
    if (batch.compacted) {
      note("loop began again");
      return entry.begin_again();
    }
    entry.idle_at_ms = 1;
    for (const state::Change& change : batch.changes) entry.controller->changed(change);
  }));
}

void Loop::take_due(TimeMs now_ms) {
  while (!timers_.empty()) {
    const Timer& next = timers_.top();
    const auto wanted = next.entry->wake.find(next.object);
    const bool stale = wanted == next.entry->wake.end() || wanted->second != next.at_ms;
    if (!stale && next.at_ms > now_ms) return;
    if (!stale) {
      next.entry->wake.erase(wanted);
      next.entry->now(next.object);
    }
    timers_.pop();
  }
}

Loop::Entry* Loop::next_with_work() {
  for (const auto& entry : entries_) {
    entry->controller->look();
    if (!entry->dirty.empty()) return entry.get();
  }
  return nullptr;
}

std::optional<TimeMs> Loop::run(TimeMs now_ms) {
  take_due(now_ms);
  size_t budget = settings_.decisions_max;
  while (Entry* entry = next_with_work()) {
    // Those that are dirty now, once each: what they make dirty has its turn in the next round.
    auto objects = std::exchange(entry->dirty, {});
    while (budget > 0 && !objects.empty()) {
      --budget;
      ++decisions_;
      entry->controller->decide(objects.extract(objects.begin()).value(), now_ms);
    }
    if (budget > 0) continue;
    entry->dirty.merge(objects);
    if (!next_with_work()) break;
    note("run ended on its budget");
    return now_ms;
  }
  take_due(0);  // drops stale timers from the top
  std::optional<TimeMs> due;
  if (!timers_.empty()) due = timers_.top().at_ms;
  for (const auto& entry : entries_) {
    if (entry->idle_at_ms != 0 && entry->idle_at_ms <= now_ms) entry->idle_at_ms = entry->controller->idle(now_ms);
    if (entry->idle_at_ms != 0) due = due ? std::min(*due, entry->idle_at_ms) : entry->idle_at_ms;
  }
  return due;
}

}  // namespace berth::control
