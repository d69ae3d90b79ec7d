#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/aws_files.h"
#include "cli/commands.h"

namespace berth::cli {
namespace {

constexpr const char* kHelp = R"(Usage: berth configure [--profile NAME] [--remove] [--state DIR]

Adds a profile to the AWS config files that leads the AWS CLI, SDKs and
Terraform to this Berth: endpoint, region and the root keys. Nothing else in
the files changes, and a profile of that name that Berth did not make is never
touched. Under sudo, the files are those of the user who called sudo.

  --profile NAME   the profile's name (default: berth)
  --remove         take the profile out again
  --state DIR      the daemon's state directory (default: /var/lib/berth)

Then:  aws --profile NAME ecs list-clusters
)";

// Whose files: under sudo, those of the user who called it.
struct Owner {
  std::string home;
  uid_t uid;
  gid_t gid;
};

Result<Owner> owner() {
  const char* sudo_user = ::geteuid() == 0 ? std::getenv("SUDO_USER") : nullptr;
  if (!sudo_user || std::string_view(sudo_user) == "root") {
    const char* home = std::getenv("HOME");
    if (!home) return fail("HOME is not set, so there is no ~/.aws to write to");
    return Owner{home, ::geteuid(), ::getegid()};
  }
  const passwd* entry = ::getpwnam(sudo_user);
  if (!entry) return fail(fmt::format("no user {} (from SUDO_USER)", sudo_user));
  return Owner{entry->pw_dir, entry->pw_uid, entry->pw_gid};
}

std::string path_of(const Owner& owner, const char* variable, const char* file) {
  const char* named = std::getenv(variable);
  return named && *named ? named : fmt::format("{}/.aws/{}", owner.home, file);
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

// Through a temporary file and rename, so that a crash never leaves half of somebody's keys. A symbolic link (dotfiles in
// a repository) is followed, and the file's mode and owner stay as they are.
Result<void> write_text(std::string path, const std::string& text, const Owner& owner) {
  if (char* real = ::realpath(path.c_str(), nullptr)) {
    path = real;
    std::free(real);
  }
  struct stat before {};
  const bool existed = ::stat(path.c_str(), &before) == 0;
  const std::string directory = path.substr(0, path.rfind('/'));
  if (::mkdir(directory.c_str(), 0700) == 0) {
    if (::chown(directory.c_str(), owner.uid, owner.gid) != 0) return fail(errno, "chown " + directory);
  } else if (errno != EEXIST) {
    return fail(errno, "mkdir " + directory);
  }
  const std::string temporary = fmt::format("{}.berth-{}", path, ::getpid());
  {
    Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd) return fail(errno, "open " + temporary);
    const bool written =
        ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
        ::fchmod(fd.get(), existed ? before.st_mode & 07777 : 0600) == 0 &&
        ::fchown(fd.get(), existed ? before.st_uid : owner.uid, existed ? before.st_gid : owner.gid) == 0 &&
        ::fsync(fd.get()) == 0;
    if (!written) {
      const int reason = errno;
      ::unlink(temporary.c_str());
      return fail(reason, "write " + temporary);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail(errno, "rename to " + path);
  return {};
}

Result<void> remove_profile(const Owner& owner, const std::string& profile) {
  const std::string config = path_of(owner, "AWS_CONFIG_FILE", "config");
  const std::string credentials = path_of(owner, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  for (const auto& [path, section] : {std::pair{config, config_section(profile)}, std::pair{credentials, profile}}) {
    const std::string before = read_text(path);
    const std::string after = without_section(before, section);
    if (after == before) continue;
    if (const auto written = write_text(path, after, owner); !written) return written;
  }
  return {};
}

Result<void> add_profile(const Owner& owner, const std::string& profile, const std::string& state) {
  const auto about = ask_daemon(state, "GET", "/about");
  if (!about) return tl::unexpected(about.error());
  const std::string keys = read_text(state + "/credentials");
  const std::string key_id = member_of_section(keys, "default", "aws_access_key_id");
  if (key_id.empty()) return fail(fmt::format("{}/credentials holds no keys (or this user may not read it)", state));

  const std::string config = path_of(owner, "AWS_CONFIG_FILE", "config");
  const std::string credentials = path_of(owner, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  // Both are worked out before either is written: a profile of somebody's own in one leaves the other alone too.
  const auto config_text = with_section(read_text(config), config_section(profile),
                                        {{"endpoint_url", (*about)["endpoint"].string_or("")},
                                         {"region", (*about)["region"].string_or("")},
                                         {"output", "json"}});
  const auto credentials_text =
      with_section(read_text(credentials), profile,
                   {{"aws_access_key_id", key_id},
                    {"aws_secret_access_key", member_of_section(keys, "default", "aws_secret_access_key")}});
  if (!config_text) return fail(fmt::format("{}: {}", config, config_text.error().context));
  if (!credentials_text) return fail(fmt::format("{}: {}", credentials, credentials_text.error().context));
  if (const auto written = write_text(credentials, *credentials_text, owner); !written) return written;
  return write_text(config, *config_text, owner);
}

}  // namespace

int configure(const std::vector<std::string>& argv) {
  const auto arguments = Arguments::parse(argv, {{"profile", true}, {"remove", false}, {"state", true}});
  if (!arguments) return misused("configure", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHelp), 0;
  if (!arguments->operands().empty()) return misused("configure", "takes no operands");
  const std::string profile = arguments->value("profile", "berth");
  if (profile.empty() || profile.find_first_of("[]\n\r ") != std::string::npos)
    return misused("configure", "a profile's name has no spaces and no brackets");
  const auto whose = owner();
  if (!whose) return complain(whose.error().context);
  const bool remove = arguments->has("remove");
  const auto done = remove ? remove_profile(*whose, profile)
                           : add_profile(*whose, profile, arguments->value("state", kDefaultStateDirectory));
  if (!done) return complain(done.error().context);
  if (remove)
    fmt::print("Profile {} is gone.\n", profile);
  else
    fmt::print("Profile {0} is ready: aws --profile {0} ecs list-clusters\n", profile);
  return 0;
}

}  // namespace berth::cli
