// Pure questions about the containers of one task: what has run, what may start, what can never start.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::control::lifecycle {

// One task's containers as defined, ordered and seen. Borrows all three.
class Containers {
 public:
  Containers(const records::TaskDefinition& definition, const records::TaskStatus& status,
             const records::TaskObserved& observed)
      : definition_(definition), status_(status), observed_(observed) {}

  const records::ContainerObserved& seen(const std::string& name) const;
  bool started(const std::string& name) const;          // at least once
  bool failed_to_start(const std::string& name) const;  // never ran, and will not
  bool exited(const std::string& name) const;           // its latest ordered start is over, or never came about

  // By its restart policy: it ended, and ran for long enough before that.
  bool may_restart(const records::ContainerDefinition& container) const;
  bool over(const records::ContainerDefinition& container) const {
    return exited(container.name) && !may_restart(container);
  }

  enum class Readiness { ready, waiting, never };
  struct Dependence {
    Readiness readiness = Readiness::ready;
    std::string why;           // never: complete text for stoppedReason
    TimeMs deadline_ms = 0;    // waiting: when the target's startTimeout is over; 0: no limit
    std::string deadline_why;  // what is told then
  };
  // What stands between the container and its first start.
  Dependence dependence(const records::ContainerDefinition& container) const;

 private:
  const records::ContainerDefinition* definition(const std::string& name) const;
  Dependence one(const std::string& dependant, const records::Dependency& dependency) const;

  const records::TaskDefinition& definition_;
  const records::TaskStatus& status_;
  const records::TaskObserved& observed_;
};

}  // namespace berth::control::lifecycle
