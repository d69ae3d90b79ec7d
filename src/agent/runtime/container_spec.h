// One container as the OCI runtime will see it, put together from its image, its definition and its place in the task.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth::runtime {

// From the image's configuration. Empty where the image says nothing.
struct ImageConfig {
  std::vector<std::string> environment;  // "NAME=value"
  std::vector<std::string> entry_point;
  std::vector<std::string> command;
  std::string user;
  std::string working_directory;
  std::string stop_signal;  // "SIGTERM", "TERM", "15"
};

struct BindMount {
  std::string source;       // on the host
  std::string destination;  // in the container
  bool read_only = false;
};

inline constexpr int64_t kOpenFilesDefault = 65535;  // Fargate's soft and hard default

struct TmpfsMount {
  std::string destination;
  int64_t size_mib = 0;
  std::vector<std::string> options;  // tmpfs' own and the generic ones; beyond nosuid, nodev, noexec
};

struct ResourceLimit {
  std::string name;  // ECS's: "nofile"
  int64_t soft = 0;
  int64_t hard = 0;
};

struct ProcessUser {
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> additional_gids;
  std::string home = "/";
  bool operator==(const ProcessUser&) const = default;
};

struct ContainerSpec {
  ImageConfig image;

  // The definition's and the task's overrides, already merged; absent or empty means the image's.
  std::optional<std::vector<std::string>> entry_point;
  std::optional<std::vector<std::string>> command;
  std::vector<std::pair<std::string, std::string>> environment;  // over the image's; the last of a name counts
  std::string working_directory;
  ProcessUser user;  // resolved, see users.h

  std::vector<ResourceLimit> resource_limits;
  // What this host lets us give (probe.h); Fargate's default and larger wishes are cut to it. 0: anything.
  int64_t open_files_max = 0;
  std::vector<TmpfsMount> tmpfs;
  std::vector<std::string> capabilities_add;  // "SYS_PTRACE", "CAP_SYS_PTRACE" or "ALL"
  std::vector<std::string> capabilities_drop;
  std::vector<std::pair<std::string, std::string>> system_controls;
  bool init_process = false;
  bool readonly_root = false;

  int64_t memory_limit_bytes = 0;  // of this container alone; 0: the task's is its limit
  int64_t cpu_shares = 0;          // 1024 a vCPU; 0: the least there is, as Docker's and ECS's 0

  std::string hostname;
  std::vector<BindMount> binds;   // volumes, /etc/hosts, /etc/resolv.conf, /etc/hostname
  std::string root;               // absolute, or relative to the bundle
  std::string network_namespace;  // path; empty: a new, empty one
  std::string cgroup;             // path below the hierarchy's root, with a leading slash
  std::string init_program;       // berth-supervisor, for init_process
  std::string compiled_filter;    // of filters.h, for the capabilities; empty: the runtime compiles the profile
};

}  // namespace berth::runtime
