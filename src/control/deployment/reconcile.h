// One decision of a service's controller, step by step. Inner part of deployment.h.
#pragma once

#include <string>
#include <vector>

#include "control/deployment/deployment.h"
#include "control/deployment/events.h"

namespace berth::control::deployment {

class Reconcile {
 public:
  Reconcile(const ServiceSnapshot& service, TimeMs now_ms, Random& random, const Settings& settings);
  ServicePlan run();

 private:
  struct Task {
    const records::TaskSummary* summary;
    bool has_health_check = false;
    bool current = false;    // of the PRIMARY deployment
    bool healthy = false;    // counts for the lower bound
    bool unhealthy = false;  // its health check says so, and its grace period is over
    bool stop = false;       // decided in this plan
  };

  // Taking over what the user asked (reconcile.cc).
  void take_over_spec();
  void forget_kept_members();
  bool is_roll_back(const records::Deployment& deployment) const { return deployment.generation != status_.generation; }
  void tell_what_does_nothing();
  bool drain();

  // What the tasks tell (reconcile_failures.cc).
  void look_at_tasks();
  bool is_healthy(const ServiceTask& task, bool current);
  bool is_unhealthy(const ServiceTask& task);
  bool has_proved_itself(const Task& task);
  void count_failures();
  void forget_failures();
  void failed(records::Deployment& primary, bool counts_for_breaker);
  void back_off();
  void break_circuit();
  void roll_back();

  // Numbers of tasks (reconcile_tasks.cc).
  void scale_in();
  void replace_unhealthy();
  void retire_old();
  void start();
  int missing() const;  // tasks of the PRIMARY deployment that there should be and are not
  int allowed() const;  // tasks that the upper bound leaves room for
  bool may_start();
  int fitting(int wanted) const;
  void start_tasks(int count);
  placement::ProviderCounts provider_counts() const;
  void stop_first(int count, bool current_only);
  bool stop(Task& task, std::string reason);  // false: no more in this plan
  bool stop_unhealthy(Task& task);
  void tell_stuck();

  void settle_deployments();
  void tell_starts_and_stops();

  int live() const {
    return count([](const Task&) { return true; });
  }
  template <class Predicate>
  int count(Predicate predicate) const {
    int n = 0;
    for (const Task& task : tasks_) n += !task.stop && predicate(task);
    return n;
  }
  int lower() const;
  int upper() const;
  records::Deployment& primary() { return status_.deployments.front(); }
  const records::Deployment& primary() const { return status_.deployments.front(); }
  std::string scaling_reason() const;
  void note(std::string_view name) const { rare(settings_.rare, name); }
  void wake_at(TimeMs at);

  const ServiceSnapshot& service_;
  const TimeMs now_;
  Random& random_;
  const Settings& settings_;
  ServicePlan plan_;
  records::ServiceStatus& status_;
  Events events_;
  std::vector<Task> tasks_;  // live ones
  int not_stopped_ = 0;      // stopping ones included
  int desired_ = 0;
  bool rolled_back_ = false;  // the snapshot's definition is of the deployment that failed
  std::vector<std::string> stopped_ids_;
};

}  // namespace berth::control::deployment
