// Where things lie. The daemon makes the directory, `plan` and the bundles; everything else is the supervisor's.
//
//   <state>/tasks/<task id>/
//     plan                     what to run (plan.h). Daemon, before the supervisor starts; written aside and renamed
//     owner                    boot id, pid and start time of the supervisor (owner.h). Renamed into place
//     journal                  facts, append-only (journal.h). The supervisor is its only writer
//     socket                   SEQPACKET; one message a packet (message.h)
//     trouble                  what the supervisor has to say when it cannot do its work; empty in good times
//     netns                    where the task's network namespace is bound, in the supervisor's mount namespace only
//     containers/<name>/
//       config.json            the OCI bundle's description. Daemon, before the command that starts the container
//       pid                    written by the OCI runtime
//       root/                  where the overlay is mounted, in the supervisor's mount namespace only
//       upper/ work/           the container's own writes; gone with the task
//       layers/<number>        links to the image's layers, where they are too many for one mount by their own names
//     volumes/<volume name>/   shared by the task's containers; gone with the task. What an image has for it is mounted on
//                              it, in the supervisor's mount namespace only
//
// Not below this directory, but the task's as well, named after the instance so that two Berths on one host never meet:
//
//   <cgroup root>/berth-<instance>/<task id>/<container>   limits of the task on the middle one; killed as a whole
//   <cgroup root>/berth-<instance>/supervisors             where supervisors live, under no task's memory limit
//   <runtime root>/<task id>-<container>/                  the OCI runtime's own notes
//
// A socket address holds 108 bytes and a state directory may be longer: bind and connect through
// /proc/self/fd/<directory>/socket.
#pragma once

#include <string>
#include <string_view>

namespace berth::taskdir {

inline constexpr const char* kPlanFile = "plan";
inline constexpr const char* kOwnerFile = "owner";
inline constexpr const char* kJournalFile = "journal";
inline constexpr const char* kSocketFile = "socket";
inline constexpr const char* kTroubleFile = "trouble";
inline constexpr const char* kNetworkNamespaceFile = "netns";
inline constexpr const char* kContainersDirectory = "containers";
inline constexpr const char* kVolumesDirectory = "volumes";

// The supervisor's file descriptors at exec, beside the standard ones (null).
inline constexpr int kDaemonSocketFd = 3;  // one end of a SEQPACKET socketpair, the daemon's first connection
inline constexpr int kLockFd = 4;          // `plan`, locked (flock) for as long as the supervisor lives
inline constexpr int kRuntimeFd = 5;  // the OCI runtime in sealed memory; closed where it has to be started by its path

inline std::string container_directory(std::string_view container) {
  return std::string(kContainersDirectory).append("/").append(container);
}
inline std::string runtime_id(std::string_view task_id, std::string_view container) {
  return std::string(task_id).append("-").append(container);
}

}  // namespace berth::taskdir
