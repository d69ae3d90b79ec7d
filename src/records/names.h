// Enums of the records by name, as they are stored. Where the API shows one, these are the API's own words.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "records/service.h"
#include "records/task.h"
#include "records/task_definition.h"

namespace berth::records {

template <class E>
struct Names;
template <>
struct Names<Condition> {
  static constexpr std::array<std::string_view, 4> all{"START", "COMPLETE", "SUCCESS", "HEALTHY"};
};
template <>
struct Names<TaskState> {
  static constexpr std::array<std::string_view, 8> all{"PROVISIONING", "PENDING",  "ACTIVATING",     "RUNNING",
                                                       "DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED"};
};
template <>
struct Names<DesiredStatus> {
  static constexpr std::array<std::string_view, 2> all{"RUNNING", "STOPPED"};
};
template <>
struct Names<StopCode> {
  static constexpr std::array<std::string_view, 7> all{"",
                                                       "TaskFailedToStart",
                                                       "EssentialContainerExited",
                                                       "UserInitiated",
                                                       "ServiceSchedulerInitiated",
                                                       "SpotInterruption",
                                                       "TerminationNotice"};
};
template <>
struct Names<Health> {
  static constexpr std::array<std::string_view, 3> all{"UNKNOWN", "HEALTHY", "UNHEALTHY"};
};
template <>
struct Names<Order> {
  static constexpr std::array<std::string_view, 3> all{"none", "run", "stop"};
};
template <>
struct Names<Rollout> {
  static constexpr std::array<std::string_view, 3> all{"IN_PROGRESS", "COMPLETED", "FAILED"};
};

template <class E>
std::string_view name_of(E value) {
  return Names<E>::all[static_cast<size_t>(value)];
}

// An unknown name (a newer Berth's) reads as the first value.
template <class E>
E value_of(std::string_view name) {
  for (size_t i = 0; i < Names<E>::all.size(); ++i)
    if (Names<E>::all[i] == name) return static_cast<E>(i);
  return E{};
}

}  // namespace berth::records
