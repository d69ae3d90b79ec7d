#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "cli/arguments.h"
#include "cli/commands.h"
#include "daemon/daemon.h"
#include "daemon/options.h"
#include "host/commands.h"

namespace {

constexpr const char* kVersion = "0.1.0";

constexpr const char* kHelp = R"(Usage: berth COMMAND [OPTION…]

Amazon ECS on this machine: the API that the AWS CLI, SDKs and Terraform speak,
and containers that really run.

  serve       serve the API and run what it is asked for
  stop        end the daemon; tasks go on, or --stop-tasks
  configure   add a profile for this Berth to the AWS config files
  ps          list tasks
  net         draw VPCs, and say what passes between tasks
  logs        print what a task has written
  image       load, pull, list and remove images
  host        list what Berth made on this machine, or take it away
  doctor      check what this machine offers, and what is missing

'berth COMMAND --help' tells more.
)";

int serve(const std::vector<std::string>& argv) {
  for (const std::string& word : argv)
    if (word == "--help" || word == "-h") return fmt::print("{}", berth::daemon::kServeHelp), 0;
  const auto options = berth::daemon::parse_options(argv);
  if (!options) return berth::cli::misused("serve", options.error().context);
  return berth::daemon::serve(*options);
}

int run(const std::vector<std::string>& words) {
  const std::string command = words.empty() ? "" : words.front();
  if (command == "stop") return berth::cli::stop(words);
  if (command == "configure") return berth::cli::configure(words);
  if (command == "ps") return berth::cli::ps(words);
  if (command == "net") return berth::cli::net(words);
  if (command == "logs") return berth::cli::logs(words);
  if (command == "image") return berth::cli::image(words);
  if (command == "host") return berth::host::host(words);
  if (command == "doctor") return berth::host::doctor(words);
  if (command == "--version" || command == "version") return fmt::print("berth {}\n", kVersion), 0;
  if (command == "--help" || command == "-h" || command == "help") return fmt::print("{}", kHelp), 0;
  fmt::print(stderr, "{}",
             command.empty() ? kHelp : fmt::format("berth: no command '{}'\nTry 'berth --help'.\n", command));
  return 2;
}

// A list that nobody could read whole is a failure, be it the disk behind '>' that is full.
int output_lost(int reason) {
  return berth::cli::complain(fmt::format("standard output cannot be written: {}", std::strerror(reason)));
}

// A standard stream that is not open would be the first file that we open (a lock, a database), and what we print would be
// written into it. In its place comes one that can be neither read nor written.
void hold_standard_streams() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0) ::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);  // takes the lowest: fd
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_streams();
  const std::vector<std::string> words(argv + 1, argv + argc);
  // What the daemon has to say after its ready line goes to its log.
  if (!words.empty() && words.front() == "serve") return serve(words);
  try {
    const int status = run(words);
    if (std::fflush(stdout) != 0 || std::ferror(stdout)) return output_lost(errno);
    return status;
  } catch (const std::system_error& error) {  // fmt, where a stream does not take what it is given
    return output_lost(error.code().value());
  }
}
