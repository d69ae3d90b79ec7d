#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <utility>

#include "base/fd.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"

namespace berth::cli {
namespace {

constexpr const char* kHelp = R"(Usage: berth image load oci:DIR[:TAG]|docker-archive:FILE|- --name NAME
       berth image pull NAME
       berth image ls [--json]
       berth image rm NAME

The images that tasks start from. Names are Docker's: 'nginx' means
docker.io/library/nginx:latest. A task takes a local image first and asks the
registry only for what is not here.

  FILE, -       an archive of docker save, gzipped or not; - is standard input
  --name NAME   what to call the loaded image
  --json        the list as JSON
  --state DIR   the daemon's state directory (default: /var/lib/berth)
)";

// The daemon reads files by name, so standard input becomes one, in the state directory (its disk is the one that
// counts). It loses its own name at once, so that nothing stays of it however this ends; the daemon reads it by ours
// for it.
Result<Fd> spool_standard_input(const std::string& state) {
  std::string path = state + "/load-XXXXXX";
  Fd fd(::mkostemp(path.data(), O_CLOEXEC));
  if (!fd) return fail(errno, "a file in " + state);
  ::unlink(path.c_str());
  char buffer[1 << 16];
  while (true) {
    const ssize_t got = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (got == 0) return fd;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(errno, "reading standard input");
    errno = ENOSPC;  // what a short write means
    if (::write(fd.get(), buffer, static_cast<size_t>(got)) != got)
      return fail(errno, "copying standard input into " + state);
  }
}

std::string absolute(const std::string& source) {
  // oci:DIR[:TAG] and docker-archive:FILE: the daemon has another working directory.
  const size_t colon = source.find(':');
  const std::string path = source.substr(colon + 1);
  if (path.starts_with("/")) return source;
  char* here = ::getcwd(nullptr, 0);
  const std::string out = fmt::format("{}:{}/{}", source.substr(0, colon), here ? here : "", path);
  std::free(here);
  return out;
}

int load(const Arguments& arguments, const std::string& state) {
  if (arguments.operands().size() != 2) return misused("image", "load takes one source");
  if (!arguments.has("name")) return misused("image", "load needs --name");
  std::string source = arguments.operands()[1];
  const bool from_standard_input = source == "-" || source == "docker-archive:-";
  if (!from_standard_input && !source.starts_with("oci:") && !source.starts_with("docker-archive:"))
    return misused("image", "a source is oci:DIR[:TAG], docker-archive:FILE or -");
  Fd spooled;
  if (from_standard_input) {
    auto file = spool_standard_input(state);
    if (!file) return complain(file.error().context);
    spooled = std::move(*file);
    source = fmt::format("docker-archive:/proc/{}/fd/{}", ::getpid(), spooled.get());
  }
  json::Value body;
  body.set("source", absolute(source));
  body.set("name", arguments.value("name", ""));
  const auto answer = ask_daemon(state, "POST", "/images/load", body);
  if (!answer) return complain(answer.error().context);
  fmt::print("{}\n", (*answer)["name"].string_or(""));
  return 0;
}

int list(const Arguments& arguments, const std::string& state) {
  const auto answer = ask_daemon(state, "GET", "/images");
  if (!answer) return complain(answer.error().context);
  if (arguments.has("json")) return fmt::print("{}\n", json::to_pretty_string(*answer)), 0;
  fmt::print("{:<50}  {:<19}  {:>9}\n", "NAME", "DIGEST", "SIZE");
  for (const json::Value& image : (*answer)["images"].array_or_empty())
    fmt::print("{:<50}  {:<19}  {:>6} MB\n", image["name"].string_or(""), image["digest"].string_or("").substr(0, 19),
               image["sizeBytes"].int_or(0) / 1'000'000);
  return 0;
}

int by_name(const Arguments& arguments, const std::string& state, const std::string& verb) {
  if (arguments.operands().size() != 2) return misused("image", verb + " takes one name");
  json::Value body;
  body.set("name", arguments.operands()[1]);
  const auto answer = ask_daemon(state, "POST", verb == "pull" ? "/images/pull" : "/images/remove", body);
  if (!answer) return complain(answer.error().context);
  fmt::print("{}\n", (*answer)["name"].string_or(""));
  return 0;
}

}  // namespace

int image(const std::vector<std::string>& argv) {
  const auto arguments = Arguments::parse(argv, {{"name", true}, {"json", false}, {"state", true}});
  if (!arguments) return misused("image", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHelp), 0;
  if (arguments->operands().empty()) return misused("image", "load, pull, ls or rm?");
  const std::string state = arguments->value("state", kDefaultStateDirectory);
  const std::string& verb = arguments->operands().front();
  if (verb == "load") return load(*arguments, state);
  if (verb == "ls") return list(*arguments, state);
  if (verb == "pull" || verb == "rm") return by_name(*arguments, state, verb);
  return misused("image", fmt::format("no command {}", verb));
}

}  // namespace berth::cli
