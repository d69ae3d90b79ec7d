#include "agent/images/unpacker.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "agent/images/program.h"
#include "base/fd.h"
#include "base/kill_point.h"
#include "base/random.h"

namespace berth::images {

Result<void> Unpacker::unpack(const std::string& diff_id, const std::string& blob_path, int cancel_fd) const {
  const std::string target = directory(diff_id);
  if (::access(target.c_str(), F_OK) == 0) return {};
  SystemRandom random;
  const std::string incoming = layers_directory_ + "/.incoming-" + new_hex_id(random, 16);
  if (::mkdir(incoming.c_str(), 0755) != 0) return fail(errno, "make directory " + incoming);
  struct Cleanup {
    const std::string& path;
    ~Cleanup() {
      std::error_code error;
      std::filesystem::remove_all(path, error);
    }
  } cleanup{incoming};
  // The root of the container: the daemon's umask must not decide about it.
  if (::chmod(incoming.c_str(), 0755) != 0) return fail(errno, "set mode of " + incoming);
  const Fd directory_fd(::open(incoming.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd blob(::open(blob_path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!directory_fd || !blob) return fail(errno, "open " + blob_path);
  auto ran = run_program({.argv = {program_, diff_id},
                          .stdin_fd = blob.get(),
                          .inherited_fd = directory_fd.get(),
                          .cancel_fd = cancel_fd});
  if (!ran) return tl::unexpected(ran.error());
  if (ran->cancelled) return fail(ECANCELED, "unpack a layer");
  if (ran->status > 128) {
    return fail(fmt::format("berth-unpack was ended by signal {}{}", ran->status - 128,
                            ran->status - 128 == 31 ? ": the layer made it do what it may not" : ""));
  }
  if (ran->status != 0) return fail(ran->errors);
  kill_point("layer-unpacked");
  if (::rename(incoming.c_str(), target.c_str()) != 0) return fail(errno, "rename to " + target);
  const Fd parent(::open(layers_directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent || ::fsync(parent.get()) != 0) return fail(errno, "write " + layers_directory_);
  return {};
}

}  // namespace berth::images
