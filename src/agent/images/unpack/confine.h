// Takes from this process what unpacking does not need, for good. Called once, before the first byte of the archive.
#pragma once

#include "base/result.h"

namespace berth::unpack {

// Its root becomes `directory_fd`; every other descriptor above 2 is closed; namespaces of its own for mounts, network
// and IPC; the capabilities to own, to mark and to make whiteouts, no other; no new privileges; a list of system calls
// (no sockets, no programs, no mounts; mknod for fifos and whiteouts only), beyond which the kernel ends the process.
Result<void> confine(int directory_fd);

}  // namespace berth::unpack
