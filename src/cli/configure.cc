#include <fcntl.h>
#include <fmt/format.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

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

// One of the two files, as it is and as it is to be.
struct File {
  std::string path;
  std::string text;
};

// Where the SDKs look, "~/" in the variable included. A symbolic link (dotfiles in a repository) is followed, also
// where what it leads to is not there yet.
std::string path_of(const Owner& owner, const char* variable, const char* file) {
  const char* named = std::getenv(variable);
  std::filesystem::path path = named && *named ? named : fmt::format("{}/.aws/{}", owner.home, file);
  if (path.native().starts_with("~/")) path = owner.home + path.native().substr(1);
  std::error_code error;
  path = std::filesystem::absolute(path, error);
  for (int links = 0; links < 16 && std::filesystem::is_symlink(path, error); ++links)
    path = path.parent_path() / std::filesystem::read_symlink(path, error);
  return path.lexically_normal();
}

// A file that is not there is an empty one. One that cannot be read must not be taken for that: it would be replaced.
Result<File> read_file(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno == ENOENT) return File{path, ""};
  if (!fd) return fail(errno, "open " + path);
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0 || !S_ISREG(about.st_mode)) return fail(path + " is not a regular file");
  File out{path, ""};
  char buffer[4096];
  while (true) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0) return fail(errno, "read " + path);
    if (got == 0) return out;
    out.text.append(buffer, static_cast<size_t>(got));
  }
}

Result<void> make_directories(const std::string& path, const Owner& owner) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string directory = path.substr(0, slash);
    if (::mkdir(directory.c_str(), 0700) == 0) {
      if (::chown(directory.c_str(), owner.uid, owner.gid) != 0) return fail(errno, "chown " + directory);
    } else if (errno != EEXIST) {
      return fail(errno, "mkdir " + directory);
    }
  }
  return {};
}

// Through a temporary file and rename, so that a crash never leaves half of somebody's keys. The file's mode and owner
// stay as they are.
Result<void> write_file(const File& file, const Owner& owner) {
  struct stat before {};
  const bool existed = ::stat(file.path.c_str(), &before) == 0;
  const std::string temporary = fmt::format("{}.berth-{}", file.path, ::getpid());
  const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail(errno, "open " + temporary);
  const bool written =
      ::write(fd.get(), file.text.data(), file.text.size()) == static_cast<ssize_t>(file.text.size()) &&
      ::fchmod(fd.get(), existed ? before.st_mode & 07777 : 0600) == 0 &&
      ::fchown(fd.get(), existed ? before.st_uid : owner.uid, existed ? before.st_gid : owner.gid) == 0 &&
      ::fsync(fd.get()) == 0 && ::rename(temporary.c_str(), file.path.c_str()) == 0;
  if (written) return {};
  const int reason = errno;
  ::unlink(temporary.c_str());
  return fail(reason, "write " + file.path);
}

struct Files {
  File config, credentials;
};

Result<Files> read_files(const Owner& owner) {
  auto config = read_file(path_of(owner, "AWS_CONFIG_FILE", "config"));
  if (!config) return tl::unexpected(config.error());
  auto credentials = read_file(path_of(owner, "AWS_SHARED_CREDENTIALS_FILE", "credentials"));
  if (!credentials) return tl::unexpected(credentials.error());
  return Files{std::move(*config), std::move(*credentials)};
}

// What there is to say when it is done.
Result<std::string> remove_profile(const Owner& owner, const std::string& profile) {
  auto files = read_files(owner);
  if (!files) return tl::unexpected(files.error());
  bool changed = false, foreign = false;
  for (const auto& [file, section] :
       {std::pair{&files->config, config_section(profile)}, std::pair{&files->credentials, profile}}) {
    foreign = foreign || holds_foreign_section(file->text, section);
    std::string after = without_section(file->text, section);
    if (after == file->text) continue;
    file->text = std::move(after);
    changed = true;
    if (const auto written = write_file(*file, owner); !written) return tl::unexpected(written.error());
  }
  if (foreign) return fmt::format("Profile {} was not made by Berth and stays.", profile);
  if (!changed) return fmt::format("There is no profile {}.", profile);
  return fmt::format("Profile {} is gone.", profile);
}

Result<std::string> add_profile(const Owner& owner, const std::string& profile, const std::string& state) {
  const auto about = ask_daemon(state, "GET", "/about");
  if (!about) return tl::unexpected(about.error());
  const auto keys = read_file(state + "/credentials");
  if (!keys) return tl::unexpected(keys.error());
  const std::string key_id = member_of_section(keys->text, "default", "aws_access_key_id");
  if (key_id.empty()) return fail(fmt::format("{} holds no keys", keys->path));

  // Both are worked out, and can be written, before either is: a profile of somebody's own in one leaves the other
  // alone too.
  auto files = read_files(owner);
  if (!files) return tl::unexpected(files.error());
  auto& [config, credentials] = *files;
  auto config_text = with_section(config.text, config_section(profile),
                                  {{"endpoint_url", (*about)["endpoint"].string_or("")},
                                   {"region", (*about)["region"].string_or("")},
                                   {"output", "json"},
                                   // botocore asks data-127.0.0.1 for Cloud Map's instances otherwise
                                   {"disable_host_prefix_injection", "true"}});
  auto credentials_text =
      with_section(credentials.text, profile,
                   {{"aws_access_key_id", key_id},
                    {"aws_secret_access_key", member_of_section(keys->text, "default", "aws_secret_access_key")}});
  if (!config_text) return fail(fmt::format("{}: {}", config.path, config_text.error().context));
  if (!credentials_text) return fail(fmt::format("{}: {}", credentials.path, credentials_text.error().context));
  config.text = std::move(*config_text);
  credentials.text = std::move(*credentials_text);
  for (const File* file : {&credentials, &config})
    if (const auto made = make_directories(file->path, owner); !made) return tl::unexpected(made.error());
  for (const File* file : {&credentials, &config})
    if (const auto written = write_file(*file, owner); !written) return tl::unexpected(written.error());
  return fmt::format("Profile {0} is ready: aws --profile {0} ecs list-clusters", profile);
}

}  // namespace

int configure(const std::vector<std::string>& argv) {
  const auto arguments = Arguments::parse(argv, {{"profile", true}, {"remove", false}, {"state", true}});
  if (!arguments) return misused("configure", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHelp), 0;
  if (!arguments->operands().empty()) return misused("configure", "takes no operands");
  const std::string profile = arguments->value("profile", "berth");
  if (profile.find_first_of("[]\"'\\ \t\n\r") != std::string::npos)
    return misused("configure", "a profile's name has no spaces, quotes, backslashes and brackets");
  const auto whose = owner();
  if (!whose) return complain(whose.error().context);
  const auto done = arguments->has("remove")
                        ? remove_profile(*whose, profile)
                        : add_profile(*whose, profile, arguments->value("state", kDefaultStateDirectory));
  if (!done) return complain(done.error().context);
  fmt::print("{}\n", *done);
  return 0;
}

}  // namespace berth::cli
