// What the containers of one task need from each other: which may start, which may start again, which never will, who must
// have stopped before whom, and when one of them ends the task. Pure.
//
// The agent decides by this, so that a task goes through its life while nobody else can be asked. Control asks only what has
// come of it: both read the same two values, the definitions and what was observed.
//
//   not started ──dependencies met──▶ running ──exit──▶ over, or restarted by its policy
//       │ a dependency can never be met, or the runtime cannot start it
//       └──────▶ failed: STOPPED with a reason. An essential one takes the task with it; the others go on without it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::containers {

using Definitions = std::vector<records::ContainerDefinition>;

// Borrows both.
class Containers {
 public:
  Containers(const Definitions& definitions, const records::TaskObserved& observed)
      : definitions_(definitions), observed_(observed) {}

  const records::ContainerObserved& seen(const std::string& name) const;
  bool started(const std::string& name) const { return seen(name).started_at_ms > 0; }  // at least once
  bool failed_to_start(const std::string& name) const;  // its first start or a later one; it will not be tried again
  bool exited(const std::string& name) const;           // its latest start is over, or failed

  // By its restart policy: it ended, and ran for long enough before that.
  bool may_restart(const records::ContainerDefinition& container) const;
  bool over(const records::ContainerDefinition& container) const {
    return exited(container.name) && !may_restart(container);
  }
  bool ends_task(const records::ContainerDefinition& container) const { return container.essential && over(container); }

  enum class Readiness { ready, waiting, never };
  struct Dependence {
    Readiness readiness = Readiness::ready;
    std::string why;           // never: complete text for the container's reason
    TimeMs deadline_ms = 0;    // waiting: when the target's startTimeout is over; 0: no limit
    std::string deadline_why;  // what is told then
  };
  // What stands between the container and its first start.
  Dependence dependence(const records::ContainerDefinition& container) const;

 private:
  const records::ContainerDefinition* definition(const std::string& name) const;
  Dependence one(const std::string& dependant, const records::Dependency& dependency) const;

  const Definitions& definitions_;
  const records::TaskObserved& observed_;
};

struct Next {
  struct Failure {
    size_t container;
    std::string reason;
    bool timed_out;  // a startTimeout, not a dependency that can never be met
  };
  std::vector<size_t> start;      // by index in the definitions, in their order
  std::vector<Failure> failures;  // these never start: give_up() each and ask again
  std::optional<size_t> ended_by;  // this essential container is over: the others are to be stopped, none is started
  TimeMs wake_at_ms = 0;           // ask again then; 0: when something has been observed
};

// `ordered[i]`: how many starts of container i have been ordered. A start that was ordered and not observed yet is not
// ordered again. `observed.containers` has the definitions' order.
Next next(const Definitions& definitions, const records::TaskObserved& observed, const std::vector<int>& ordered,
          TimeMs now_ms);

// What is seen of a container that waited for what never came: STOPPED with exit code 143, as ECS's agent tells it.
void give_up(records::ContainerObserved& container, std::string reason, TimeMs now_ms);

// Its exit ends the task whatever the code and however long it ran, so its supervisor need not ask anybody.
inline bool always_ends_task(const records::ContainerDefinition& container) {
  return container.essential && !container.restart_policy;
}

// Who must have stopped before `target` is told to stop: those that depend on it, by dependsOn or by its volumes.
std::vector<uint32_t> dependants_of(const records::ContainerDefinition& target, const Definitions& all);

}  // namespace berth::containers
