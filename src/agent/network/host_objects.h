// Everything that Berth has made on this machine's network, for `berth host ls` and `berth host clean`. Needs no running
// daemon. Root only. On the calling thread, in whose namespace "the host" is.
#pragma once

#include <string>
#include <vector>

#include "agent/network/instance.h"
#include "base/result.h"

namespace berth::network {

struct HostObject {
  std::string instance;  // six digits; empty where no instance has written it down
  std::string kind;      // "link", "route", "nft table", "namespace", "mount", "sysctl", "directory"
  std::string name;      // as the system's own tools show it: "be1a2b3cv4d5e6f", "172.31.0.0/16 unreachable"
  std::string purpose;   // for people, one line
  bool operator==(const HostObject&) const = default;
};

// Also what a record no longer names: found by the names and marks that all of Berth's objects bear.
Result<std::vector<HostObject>> list_host_objects(const std::string& run_root = kRunRoot);

struct Cleaned {
  std::vector<std::string> removed;     // state directories whose instance's objects are gone now
  std::vector<std::string> left_alone;  // state directories whose daemon still runs
};
// Removes the objects of every instance without a running daemon: of `state_directory` only, where it is not empty.
// Tasks that still run lose their network: end them first.
Result<Cleaned> clean_host(const std::string& state_directory, const std::string& run_root = kRunRoot);

}  // namespace berth::network
