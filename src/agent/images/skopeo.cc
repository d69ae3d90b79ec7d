#include "agent/images/skopeo.h"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>
#include <vector>

#include "agent/images/registry.h"

namespace berth::images {

bool is_plain_file(int fd) {
  struct stat info {};
  unsigned char magic[2] = {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
         !(::pread(fd, magic, sizeof magic, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b);
}

Result<ProgramOutcome> run_within(ProgramSpec program, const Patience& patience) {
  program.timeout_ms = patience.timeout_ms;
  program.cancel_fd = patience.cancel_fd;
  auto ran = run_program(program);
  if (ran && ran->cancelled) return fail(ECANCELED, "copy the image");
  if (ran && ran->timed_out)
    return fail(fmt::format("copying the image took longer than {} s", patience.timeout_ms / 1000));
  return ran;
}

Result<void> copy_image(const std::string& source, const ImageName& name, int stdin_fd, const std::string& directory,
                        const Patience& patience, int* asked_again) {
  // Layers stay as they are: compressing them again would cost more than all the rest.
  std::vector<std::string> argv = {"skopeo", "--insecure-policy"};
  const bool from_registry = source.starts_with("docker://");
  if (from_registry) argv.push_back("--debug");  // else it says nothing of what it asked again
  argv.insert(argv.end(), {"copy", "--quiet", "--dest-oci-accept-uncompressed-layers"});
  if (from_registry && on_loopback(name)) argv.push_back("--src-tls-verify=false");
  argv.push_back(source);
  argv.push_back("oci:" + directory + ":image");
  auto copied = run_within({.argv = std::move(argv), .stdin_fd = stdin_fd}, patience);
  if (!copied && copied.error().errno_value == ENOENT)
    return fail("the program skopeo is not installed; install Debian's package skopeo");
  if (!copied) return tl::unexpected(copied.error());
  *asked_again += times_asked_again(copied->errors);
  if (copied->status != 0) return fail(skopeo_message(copied->errors));
  return {};
}

Result<void> spool_archive(const std::string& pipe, int stdin_fd, const std::string& to, const Patience& patience) {
  // Who reads the pipe opens it, too: that may have to wait, and we do not.
  const char* script = "[ -z \"$2\" ] || exec <\"$2\"; exec gzip -dcf >\"$1\"";
  const auto read = run_within({.argv = {"sh", "-c", script, "sh", to, pipe}, .stdin_fd = stdin_fd}, patience);
  if (!read) return tl::unexpected(read.error());
  if (read->status != 0) return fail("read the archive: " + read->errors);
  return {};
}

std::string skopeo_message(const std::string& errors) {
  std::string message;
  const size_t line = errors.rfind("level=fatal msg=\"");
  for (size_t at = line + 17; line != errors.npos && at < errors.size() && errors[at] != '"'; ++at) {
    if (errors[at] == '\\' && at + 1 < errors.size()) ++at;
    message += errors[at];
  }
  if (line != errors.npos) return message;
  for (std::string_view rest = errors; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    if (one.find(" level=debug ") != one.npos || one.empty()) continue;
    message.append(message.empty() ? "" : "\n").append(one);
  }
  return message;
}

int times_asked_again(const std::string& errors) {
  constexpr std::string_view kSays = "Too many requests to ";
  int times = 0;
  for (size_t at = errors.find(kSays); at != errors.npos; at = errors.find(kSays, at + kSays.size())) ++times;
  return times;
}

}  // namespace berth::images
