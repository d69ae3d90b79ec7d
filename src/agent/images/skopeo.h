// Has skopeo copy an image, from a registry or an archive, into an OCI layout of its own.
#pragma once

#include <string>

#include "agent/images/image_name.h"
#include "agent/images/program.h"
#include "base/result.h"

namespace berth::images {

// How long a program may run here, and what ends it sooner: readable, `cancel_fd` ends it with the error ECANCELED.
struct Patience {
  int timeout_ms = -1;
  int cancel_fd = -1;
};
Result<ProgramOutcome> run_within(ProgramSpec program, const Patience& patience);

// `source` is skopeo's. Layers stay compressed as they are. Blocks. `*asked_again` grows by the times that skopeo
// itself asked again: where a registry answers 429 it does so, five times in all, after 2, 4, 8 and 16 s or what
// Retry-After says.
Result<void> copy_image(const std::string& source, const ImageName& name, int stdin_fd, const std::string& directory,
                        const Patience& patience, int* asked_again);

// A docker-archive from a pipe or through gzip, which `docker save` is often sent through: skopeo reads such a one's
// first bytes to tell whether it is compressed, and then the rest for the whole. It is written to `to`, as a plain
// file, first. `pipe` is a named pipe's path, else `stdin_fd` is read.
Result<void> spool_archive(const std::string& pipe, int stdin_fd, const std::string& to, const Patience& patience);
// Whether skopeo can read what is open there as it is.
bool is_plain_file(int fd);

// The message in skopeo's last line, without its time and level; what it says for debugging is left out.
std::string skopeo_message(const std::string& errors);
int times_asked_again(const std::string& errors);

}  // namespace berth::images
