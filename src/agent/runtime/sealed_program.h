// The OCI runtime as a sealed copy in memory, made once and handed to every supervisor.
//
// A runtime must not be started from a file that its container could write to through /proc/PID/exe (CVE-2019-5736). crun
// and runc therefore begin by copying themselves into a sealed memfd, or by mounting themselves read-only, and start
// again from there: 2 ms a start, and two changes of the mount table. Both leave it out where they already run from a
// memfd with all four seals: this is one.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/fd.h"

namespace berth::runtime {

class SealedProgram {
 public:
  // The descriptor, borrowed; -1 where the kernel gives none (vm.memfd_noexec=2, no memory) or `path` cannot be read:
  // start the program by its path then. A program that was replaced (an upgrade) is copied anew. One thread.
  int fd(const std::string& path);

 private:
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    off_t bytes = 0;
    int64_t changed_ns = 0;
    bool operator==(const Identity&) const = default;
  };

  Fd copy_;
  std::string path_;
  Identity identity_;
};

}  // namespace berth::runtime
