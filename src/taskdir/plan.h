// What a supervisor is to run: everything it needs to work on alone when the daemon is gone. Written once; a file that
// carries another kVersion, a wrong checksum or names that could leave the directory is refused whole.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::taskdir {

// Where the controllers are. `hybrid`: version 1 with an empty version 2 hierarchy at <root>/unified, which crun 1.8
// refuses to work beside; the supervisor unmounts that in its own mount namespace.
enum class CgroupMode : uint8_t { v1 = 1, v2 = 2, hybrid = 3 };

enum class LogMode : uint8_t {
  blocking = 1,      // when the disk is full or the writer behind, the container's write(2) waits
  non_blocking = 2,  // up to buffer_bytes_max is kept in memory, what comes then is dropped, counted and said
};

struct LogPlan {
  std::string directory;  // the stream's directory in the log store; empty: output is thrown away
  LogMode mode = LogMode::blocking;
  uint64_t buffer_bytes_max = 10 * 1024 * 1024;
  uint64_t bytes_max = 0;  // of all segments together, the oldest go first; 0: no cap
  // A line that has a match of this (logstore/writer/line_pattern.h) begins an event; empty: each line is one.
  std::string event_pattern = {};
  bool operator==(const LogPlan&) const = default;
};

struct ContainerPlan {
  std::string name;
  bool stops_task = true;  // its exit, and that it cannot start: containers::always_ends_task
  // Layers of the image, the topmost first; absolute. Empty: `root/` is taken as it is (tests, scratch images).
  std::vector<std::string> lower_directories;
  uint32_t stop_signal = 15;
  uint32_t stop_timeout_ms = 30'000;
  // Indexes of the containers that depend on this one: they must have stopped before this one is told to.
  std::vector<uint32_t> dependants;
  LogPlan log;
  bool operator==(const ContainerPlan&) const = default;

  template <class Archive>
  void fields(Archive& a) {
    a(name, stops_task, lower_directories, stop_signal, stop_timeout_ms, dependants, log.directory, log.mode,
      log.buffer_bytes_max, log.bytes_max, log.event_pattern);
  }
};

// A volume that begins with what an image has: <task directory>/volumes/<name> becomes, in the supervisor's mount
// namespace, the directory `path` of a container's root, before any container starts. Where the image has no such
// directory, it stays the empty one that the daemon made.
struct VolumePlan {
  std::string name;
  uint32_t container = 0;
  std::string path;  // absolute, in the container; links in it are followed within its root
  bool operator==(const VolumePlan&) const = default;

  template <class Archive>
  void fields(Archive& a) {
    a(name, container, path);
  }
};

struct Plan {
  std::string task_id;
  std::string instance;      // names cgroups: "berth-<instance>"
  std::string runtime_path;  // crun or runc
  std::string runtime_root;  // its --root, shared by the instance's tasks
  std::string cgroup_root = "/sys/fs/cgroup";
  CgroupMode cgroup_mode = CgroupMode::v2;
  uint64_t memory_limit_bytes = 0;  // of the whole task; 0: none
  uint64_t cpu_shares = 0;          // version 1 scale, 1024 a vCPU; 0: the kernel's default
  uint64_t cpu_quota_us = 0;        // per 100 ms; 0: none
  uint64_t processes_max = 0;       // 0: none
  std::vector<ContainerPlan> containers;
  // Where the daemon has bound the task's; its containers join it at kNetworkNamespaceFile (paths.h). Other tasks' are let
  // go in the supervisor's mount namespace, lest it keep them alive. Empty: containers have none from the daemon.
  std::string network_namespace;
  std::vector<VolumePlan> image_volumes;
  bool operator==(const Plan&) const = default;

  template <class Archive>
  void fields(Archive& a) {
    a(task_id, instance, runtime_path, runtime_root, cgroup_root, cgroup_mode, memory_limit_bytes, cpu_shares,
      cpu_quota_us, processes_max, containers, network_namespace, image_volumes);
  }
};

std::string encode_plan(const Plan& plan);
// Empty where the bytes are no plan of this version or name something that cannot be (see the file's head).
std::optional<Plan> decode_plan(std::string_view bytes);

// A name that is one path component and nothing else: used for task ids, containers and instances.
bool is_safe_name(std::string_view name);

}  // namespace berth::taskdir
