#include "daemon/credentials.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "base/files.h"
#include "cli/aws_files.h"

namespace berth::daemon {
namespace {

std::string random_text(Random& random, size_t length, std::string_view alphabet) {
  std::string out;
  while (out.size() < length) out += alphabet[random.below(alphabet.size())];
  return out;
}

Result<RootKeys> read_keys(int fd, const std::string& path) {
  struct stat about {};
  if (::fstat(fd, &about) != 0) return fail(errno, "stat " + path);
  if (about.st_mode & 077)
    return fail(fmt::format("{} can be read by others; chmod 600 it, or remove it for new keys", path));
  char buffer[4096];
  const ssize_t got = ::read(fd, buffer, sizeof buffer);
  if (got < 0) return fail(errno, "read " + path);
  const std::string_view text(buffer, static_cast<size_t>(got));
  RootKeys keys{cli::member_of_section(text, "default", "aws_access_key_id"),
                cli::member_of_section(text, "default", "aws_secret_access_key")};
  if (keys.access_key_id.empty() || keys.secret_access_key.empty())
    return fail(fmt::format("{} has no [default] with both keys; remove it for new ones", path));
  return keys;
}

}  // namespace

Result<RootKeys> root_keys(const std::string& state_directory, Random& random) {
  const std::string path = state_directory + "/credentials";
  if (Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); fd) return read_keys(fd.get(), path);
  if (errno != ENOENT) return fail(errno, "open " + path);
  // AWS's own forms: 20 upper-case letters and digits 2–7, 40 of base64's alphabet (no '/', which some shells' users quote wrongly).
  RootKeys keys{"AKIA" + random_text(random, 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
                random_text(random, 40, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+")};
  const std::string text = fmt::format("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
                                       keys.access_key_id, keys.secret_access_key);
  if (auto written = replace_file(path, text, Durable::yes); !written) return tl::unexpected(written.error());
  return keys;
}

}  // namespace berth::daemon
