// One task, from its first order to the last thing that is given back. A state machine without system calls: orders, facts
// and answers come in, calls to Machine and reports go out. Agent thread only. An order says run or stop; what its containers
// need from each other is decided here (containers/), with nobody asked.
//
//   preparing ──images and network there──▶ supervised ──supervisor gone──▶ releasing ──▶ released
//       │ order=stop, or a failure                                              ▲
//       └───────────────────────────────────────────────────────────────────────┘
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/apply/machine.h"
#include "agent/apply/order.h"
#include "agent/observe/health_watch.h"
#include "containers/containers.h"
#include "records/task.h"
#include "taskdir/journal.h"

namespace berth::agent {

class Task : public std::enable_shared_from_this<Task> {
 public:
  using Report = std::function<void(const records::keys::TaskPath&, const records::TaskObserved&)>;

  Task(Machine& machine, Assignment assignment, Report report);

  // A task that nothing has been done for yet.
  void begin();
  // A task whose directory may be found: `observed` as kept beside the plan, or, where that is damaged, as written last; then
  // its journal's facts from the beginning, perhaps gone(); then resumed(), if its supervisor was found. Nothing is reported in
  // between: what the journal repeats is no news.
  void resume(const std::string& observed_at_launch);
  void resumed();
  // A task that has begun on this machine and of which nothing is left.
  void lost(std::string why);

  void take(Assignment assignment);
  void fact(const taskdir::Fact& fact);
  // Its supervisor has ended and nothing of it runs any more; a reason where it had not finished its work.
  void gone(const std::string& reason);
  void report_again() { report_(assigned_.path, observed_); }

  const Assignment& assignment() const { return assigned_; }
  std::optional<Ipv4> address() const;
  bool released() const { return observed_.released; }

 private:
  enum class Phase { preparing, supervised, releasing, released };

  void images_there(Machine::Prepared prepared);
  void network_there(Result<std::pair<network::TaskNet, Ipv4>> net);
  void launch_when_ready();
  void advance();
  void advance_and_report();
  void give_up_containers(const std::vector<containers::Next::Failure>& failures);
  void stop_if_ordered();
  void stop(const std::string& why);
  void fail(std::string why);
  void release();
  void cancel_images();
  void give_back();
  void note(const taskdir::Fact& fact);
  void watch_health(uint32_t index, TimeMs since_ms, records::Health health);
  void probe(uint32_t index);
  void probed(uint32_t index, uint32_t attempt, bool passed);
  void report();

  Machine& machine_;
  Assignment assigned_;
  Report report_;
  Phase phase_ = Phase::preparing;
  records::TaskObserved observed_;
  std::vector<records::ContainerDefinition> containers_;
  std::optional<std::vector<images::ResolvedImage>> images_;
  std::optional<std::pair<network::TaskNet, Ipv4>> net_;
  int preparing_ = 0;           // answers that are still to come
  bool images_coming_ = false;  // one of these is the images'
  bool stop_sent_ = false;
  bool stopping_ = false;  // asked to, or its supervisor has begun to by itself: nothing is started any more
  bool given_back_ = false;
  bool resuming_ = false;
  std::optional<std::string> gone_while_resuming_;
  std::vector<int> ordered_;  // how many starts of each container
  std::map<uint32_t, HealthWatch> health_;
};

}  // namespace berth::agent
