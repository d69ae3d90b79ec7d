#include "agent/apply/task.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/apply/task_plan.h"
#include "base/assert.h"
#include "base/log.h"
#include "records/codec.h"

namespace berth::agent {

using records::ContainerObserved;
using records::Health;
using taskdir::Fact;
using taskdir::FactKind;

namespace {

// Beyond the containers' own stop timeouts: for logs that a full disk keeps, and for files that are being removed.
constexpr TimeMs kStopPatienceMs = 60'000;
constexpr const char* kOutOfMemory = "OutOfMemoryError: Container killed due to memory usage";

std::string runtime_id(const std::string& task_id, size_t index) {
  // AWS: "<task id>-<10 digits>". Ours are stable over restarts of the same container, as AWS's are.
  return fmt::format("{}-{:010}", task_id, 1'000'000'000 + index);
}

}  // namespace

Task::Task(Machine& machine, Assignment assignment, Report report)
    : machine_(machine), assigned_(std::move(assignment)), report_(std::move(report)) {
  containers_ = assigned_.order->containers;
  ordered_.assign(containers_.size(), 0);
  for (size_t i = 0; i < containers_.size(); ++i) {
    ContainerObserved seen;
    seen.name = containers_[i].name;
    seen.runtime_id = runtime_id(assigned_.path.id, i);
    observed_.containers.push_back(std::move(seen));
  }
}

void Task::begin() {
  if (assigned_.stop) return release();
  observed_.pull_started_at_ms = machine_.now_ms();
  preparing_ = 2;
  images_coming_ = true;
  std::vector<std::string> names;
  for (const auto& container : containers_) names.push_back(container.image);
  machine_.prepare_images(assigned_.path.id, std::move(names),
                          [self = shared_from_this()](auto prepared) { self->images_there(std::move(prepared)); });
  machine_.attach(assigned_, std::nullopt, [self = shared_from_this()](auto net) { self->network_there(std::move(net)); });
}

void Task::images_there(Machine::Prepared prepared) {
  --preparing_;
  images_coming_ = false;
  for (size_t i = 0; i < prepared.images.size(); ++i) observed_.containers[i].image_digest = prepared.images[i].digest;
  // Cancelled, or failed when nobody needed it any more: what ended the task stays its reason.
  if (!prepared.all && (assigned_.stop || !observed_.failure.empty())) return release();
  if (!prepared.all) {
    observed_.containers[prepared.images.size()].reason = prepared.all.error().context;
    return fail(prepared.all.error().context);
  }
  observed_.pull_stopped_at_ms = machine_.now_ms();
  images_ = std::move(prepared.images);
  launch_when_ready();
}

void Task::network_there(Result<std::pair<network::TaskNet, Ipv4>> net) {
  --preparing_;
  if (!net) return fail("ResourceInitializationError: unable to create the task's network: " + net.error().context);
  net_ = std::move(*net);
  observed_.address = net_->second.to_string();
  observed_.mac = net_->first.mac;
  observed_.connectivity_at_ms = machine_.now_ms();
  launch_when_ready();
}

void Task::launch_when_ready() {
  if (preparing_ > 0) return;
  if (phase_ != Phase::preparing || !images_ || !net_) return release();
  if (assigned_.stop) return release();
  observed_.provisioned = true;
  const Launch launch{assigned_, containers_, *images_, net_->first, net_->second, records::encode(observed_)};
  const auto supervised = machine_.supervise(launch);
  if (!supervised) {
    observed_.provisioned = false;
    return fail("CannotCreateContainerError: " + supervised.error().context);
  }
  for (const Machine::Uncreatable& one : *supervised) {
    ContainerObserved& seen = observed_.containers[one.container];
    seen.start_failed = true;
    seen.reason = "CannotCreateContainerError: " + one.reason;
    seen.exited_at_ms = machine_.now_ms();
  }
  phase_ = Phase::supervised;
  images_.reset();
  advance();
  report();
}

// After everything that was observed: starts what may start, gives up what never will, and stops the task where an essential
// container is over.
void Task::advance() {
  if (phase_ != Phase::supervised || resuming_ || stopping_ || assigned_.stop) return;
  auto next = containers::next(containers_, observed_, ordered_, machine_.now_ms());
  // What is given up may be what another waits for, so there are as many rounds as containers at most.
  for (; !next.failures.empty() && !next.ended_by;
       next = containers::next(containers_, observed_, ordered_, machine_.now_ms()))
    give_up_containers(next.failures);
  if (next.ended_by) return stop(fmt::format("container {} is over", containers_[*next.ended_by].name));
  for (const size_t i : next.start) {
    ordered_[i] = observed_.containers[i].starts + 1;
    machine_.start(assigned_.path.id, static_cast<uint32_t>(i), static_cast<uint32_t>(ordered_[i]));
  }
  if (next.wake_at_ms != 0)
    machine_.wake_at(next.wake_at_ms, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->advance_and_report();
    });
}

void Task::give_up_containers(const std::vector<containers::Next::Failure>& failures) {
  for (const auto& failure : failures)
    containers::give_up(observed_.containers[failure.container], failure.reason, machine_.now_ms());
}

void Task::advance_and_report() {
  advance();
  report();
}

void Task::take(Assignment assignment) {
  assigned_ = std::move(assignment);
  if (phase_ == Phase::released || phase_ == Phase::releasing) return give_back();
  if (phase_ == Phase::supervised) {
    advance();
    stop_if_ordered();
  } else if (assigned_.stop) {
    preparing_ == 0 ? release() : cancel_images();
  }
}

void Task::stop_if_ordered() {
  if (assigned_.stop && !stop_sent_) stop(assigned_.stop->reason);
}

// Whoever asks for a stop waits for it: a supervisor that hangs must not keep its task for ever.
void Task::stop(const std::string& why) {
  stop_sent_ = stopping_ = true;
  machine_.stop(assigned_.path.id, why);
  TimeMs patience_ms = kStopPatienceMs;
  for (const auto& container : containers_)
    patience_ms += TimeMs{container.stop_timeout_s} * 1000;  // one after the other
  machine_.wake_at(machine_.now_ms() + patience_ms, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self && self->phase_ == Phase::supervised)
      self->machine_.kill(self->assigned_.path.id, "the task's supervisor did not stop it in time");
  });
}

void Task::resume(const std::string& observed_at_launch) {
  phase_ = Phase::supervised;
  resuming_ = true;
  const auto is_of_this_task = [&](const records::TaskObserved& kept) {
    return parse_ipv4(kept.address) &&
           std::equal(kept.containers.begin(), kept.containers.end(), containers_.begin(), containers_.end(),
                      [](const ContainerObserved& a, const auto& b) { return a.name == b.name; });
  };
  if (auto kept = records::decode_if_whole<records::TaskObserved>(observed_at_launch); kept && is_of_this_task(*kept)) {
    observed_ = std::move(*kept);
  } else if (assigned_.observed && is_of_this_task(*assigned_.observed)) {
    observed_ = *assigned_.observed;
  }
}

void Task::resumed() {
  resuming_ = false;
  for (uint32_t i = 0; i < containers_.size(); ++i) {
    ContainerObserved& seen = observed_.containers[i];
    ordered_[i] = seen.starts;
    if (!assigned_.observed || i >= assigned_.observed->containers.size()) continue;
    const ContainerObserved& before = assigned_.observed->containers[i];
    // The journal does not tell of what waited in vain: nobody asked the supervisor to start it.
    if (before.start_failed && seen.starts == 0 && !seen.start_failed) seen = before;
    // A verdict that was already written holds until a probe says otherwise.
    if (!seen.running || before.starts != seen.starts || before.health == Health::unknown) continue;
    seen.health = before.health;
    seen.health_since_ms = before.health_since_ms;
    watch_health(i, seen.started_at_ms, before.health);
  }
  if (gone_while_resuming_) return gone(*gone_while_resuming_);
  if (!address()) return machine_.kill(assigned_.path.id, "what was kept of the task's launch is damaged");
  machine_.attach(assigned_, address(), [self = shared_from_this()](auto net) {
    if (net)
      self->net_ = std::move(*net);
    else
      log_warning("task {}: its network could not be taken over: {}", self->assigned_.path.id, net.error().context);
  });
  advance();
  stop_if_ordered();
  report();
}

void Task::lost(std::string why) {
  if (assigned_.observed) observed_ = *assigned_.observed;
  if (observed_.stopped) return release();  // it had ended before; only its last report may be missing
  for (ContainerObserved& container : observed_.containers) {
    if (container.running) container.exited_at_ms = machine_.now_ms();
    container.running = false;
  }
  fail(std::move(why));
}

void Task::fact(const Fact& fact) {
  note(fact);
  if (fact.kind == FactKind::container_started && fact.container < containers_.size())
    watch_health(fact.container, fact.time_ms, Health::unknown);
  advance();
  if (fact.kind != FactKind::supervising && fact.kind != FactKind::lines_dropped) report();
}

// What a fact says, written into what was observed; the same for a fact that is news and one that is read again.
void Task::note(const Fact& fact) {
  if (fact.kind == FactKind::finished) {
    observed_.stopped = true;
    observed_.stopped_at_ms = fact.time_ms;
    return;
  }
  if (fact.kind == FactKind::stop_begun) stopping_ = true;
  if (fact.container >= observed_.containers.size()) return;
  ContainerObserved& seen = observed_.containers[fact.container];
  switch (fact.kind) {
    case FactKind::container_started:
      seen.running = true;
      seen.starts = static_cast<int>(fact.attempt);
      seen.started_at_ms = fact.time_ms;
      seen.exit_code.reset();
      seen.exited_at_ms = 0;
      seen.reason.clear();
      seen.health = Health::unknown;
      seen.health_since_ms = 0;
      break;
    case FactKind::start_failed:
      seen.running = false;
      seen.start_failed = true;
      seen.reason = "CannotStartContainerError: " + fact.reason;
      seen.exited_at_ms = fact.time_ms;
      break;
    case FactKind::container_exited:
      seen.running = false;
      seen.starts = static_cast<int>(fact.attempt);
      seen.exit_code = static_cast<int>(fact.exit_code);
      seen.exited_at_ms = fact.time_ms;
      if (fact.oom) seen.reason = kOutOfMemory;
      health_.erase(fact.container);
      break;
    default: break;
  }
}

void Task::watch_health(uint32_t index, TimeMs since_ms, Health health) {
  const auto& check = containers_[index].health_check;
  if (!check) return;
  HealthWatch watch(*check, since_ms);
  if (health != Health::unknown) watch.resume(health);
  health_.insert_or_assign(index, watch);
  machine_.wake_at(machine_.now_ms(), [self = shared_from_this(), index] { self->probe(index); });
}

void Task::probe(uint32_t index) {
  const auto watch = health_.find(index);
  if (watch == health_.end() || phase_ != Phase::supervised || stopping_) return;
  const auto due = watch->second.next_probe_at_ms(machine_.now_ms());
  if (!due) return;  // one is under way; its answer arms the next
  if (*due > machine_.now_ms()) {
    machine_.wake_at(*due, [self = shared_from_this(), index] { self->probe(index); });
    return;
  }
  watch->second.probe_begun(machine_.now_ms());
  const records::HealthCheck& check = *containers_[index].health_check;
  std::vector<std::string> command(check.command.begin() + 1, check.command.end());
  if (check.command.front() == "CMD-SHELL") command = {"/bin/sh", "-c", command.empty() ? "" : command.front()};
  const auto attempt = static_cast<uint32_t>(observed_.containers[index].starts);
  machine_.execute(assigned_.path.id, index, std::move(command), static_cast<uint32_t>(check.timeout_s) * 1000,
                   [self = shared_from_this(), index, attempt](const Executed& result) {
                     self->probed(index, attempt, result.passed);
                   });
}

void Task::probed(uint32_t index, uint32_t attempt, bool passed) {
  const auto watch = health_.find(index);
  ContainerObserved& seen = observed_.containers[index];
  // The answer may be late: of a container that has exited or been started again since.
  if (watch == health_.end() || static_cast<uint32_t>(seen.starts) != attempt || !seen.running) return;
  if (const auto verdict = watch->second.probed(passed, machine_.now_ms())) {
    seen.health = *verdict;
    seen.health_since_ms = machine_.now_ms();
    advance_and_report();
  }
  probe(index);
}

void Task::gone(const std::string& reason) {
  if (resuming_) {
    gone_while_resuming_ = reason;
    return;
  }
  if (phase_ != Phase::supervised) return;
  if (reason.empty()) return release();
  for (ContainerObserved& container : observed_.containers) {
    if (!container.running) continue;
    container.running = false;
    container.exited_at_ms = machine_.now_ms();
    if (container.reason.empty()) container.reason = "ContainerRuntimeError: " + reason;
  }
  fail("ContainerRuntimeError: " + reason);
}

void Task::fail(std::string why) {
  if (observed_.failure.empty()) observed_.failure = std::move(why);
  release();
}

// Called when nothing of it runs, or nothing has begun to.
void Task::release() {
  health_.clear();
  if (phase_ == Phase::releasing || phase_ == Phase::released) return;
  if (preparing_ > 0) {
    // What was asked for is still on its way; it is given back when it has come.
    cancel_images();
    report();
    return;
  }
  phase_ = Phase::releasing;
  if (!observed_.stopped) {
    observed_.stopped = true;
    observed_.stopped_at_ms = machine_.now_ms();
  }
  report();
  give_back();
}

// Only once control's decision to stop is durable: a directory that is gone while the state still says "run" would, after
// power loss, look like a task that has not begun.
void Task::give_back() {
  if (given_back_ || !assigned_.stop) return;
  given_back_ = true;
  machine_.remove(assigned_.path.id);
  machine_.detach(assigned_, [self = shared_from_this()] {
    self->phase_ = Phase::released;
    self->observed_.released = true;
    self->report();
  });
}

std::optional<Ipv4> Task::address() const {
  if (observed_.address.empty()) return std::nullopt;
  return parse_ipv4(observed_.address);
}

void Task::cancel_images() {
  if (images_coming_) machine_.cancel_images(assigned_.path.id);
}

void Task::report() {
  observed_.order_revision = assigned_.revision;
  if (!resuming_) report_(assigned_.path, observed_);
}

}  // namespace berth::agent
