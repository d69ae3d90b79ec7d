// One Berth among several on a machine: its name, derived from its state directory, and the directory under /run in which
// everything that it makes on the host is written down *before* it is made. So whatever a kill -9 leaves can be found and
// attributed, and what belongs to a state directory that is gone can be collected by any other instance.
//
//   /run/berth/                      (tmpfs of the host: empty after a reboot, as the kernel's own objects are)
//   ├── lock                         locked: only one process at a time chooses networks or collects
//   ├── ip_forward_was_off           present: Berth has switched net.ipv4.ip_forward on
//   └── <instance>/                  six hex digits
//       ├── owner                    the state directory's path and its own random id, two lines
//       ├── lock                     locked by the running daemon
//       ├── public_block             where its public addresses are from, one line
//       ├── vpcs/<vpc id>            its networks, one line; the number of its link, another
//       └── netns/                   a private tmpfs, so that a process which leaves the host's mount namespace sheds all
//           ├── <vpc id>             of it with one umount; namespaces bound to files
//           └── <task id>
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/ipv4.h"

namespace berth::network {

inline constexpr const char* kRunRoot = "/run/berth";

struct Instance {
  std::string name;      // six hex digits
  std::string run_root;  // kRunRoot but in tests
  int lock_fd = -1;      // borrowed from the daemon that runs it; -1 for whoever only looks
  std::string directory() const { return run_root + "/" + name; }
  std::string netns_directory() const { return directory() + "/netns"; }
  std::string netns_path(const std::string& id) const { return netns_directory() + "/" + id; }
  std::string vpcs_directory() const { return directory() + "/vpcs"; }
  std::string nft_table() const { return "berth_" + name; }
  // "be" + instance + "v" + six digits of the VPC: 15 characters, all that a link's name may have.
  std::string link_prefix() const { return "be" + name + "v"; }
  std::string vpc_link(const std::string& vpc_id) const;
};

// Whether an instance could have this name: others than Berth may call what is theirs "berth-…", too.
bool is_instance_name(std::string_view name);

struct VpcRecord {
  std::string vpc_id;
  std::vector<Ipv4Network> networks;  // the primary one first; never empty
  // Of its link to the host: its two addresses (dataplane::host_end_of) and no other VPC's on this machine. From 1; 0 in the
  // record of an earlier version.
  uint32_t link = 0;
  bool operator==(const VpcRecord&) const = default;
};

// Names the instance of a state directory, which keeps a random id in DIR/instance: a directory copied elsewhere, or
// made anew at the same place, is another instance.
Result<Instance> instance_of(const std::string& state_directory, const std::string& run_root = kRunRoot);

// Makes the directories; the namespaces' tmpfs is private and mounted once.
Result<void> prepare_instance(const Instance& instance, const std::string& state_directory);

struct SeenInstance {
  Instance instance;
  std::string state_directory;
  bool running = false;     // a daemon holds its lock
  bool state_gone = false;  // the state directory no longer exists, or is another one
  std::vector<VpcRecord> vpcs;
  std::vector<std::string> namespaces;  // ids
};
std::vector<SeenInstance> list_instances(const std::string& run_root);

Result<void> write_vpc_record(const Instance& instance, const VpcRecord& record);
std::vector<VpcRecord> read_vpc_records(const Instance& instance);

// A lock on `path`, made if need be; the kernel frees it with the descriptor. Waits, or fails with EAGAIN.
Result<Fd> lock_file(const std::string& path, bool wait);
bool locked(const std::string& path);  // by somebody; takes nothing itself

// Ids become file names: letters, digits and '-', at most 64.
bool fit_for_name(const std::string& id);

}  // namespace berth::network
