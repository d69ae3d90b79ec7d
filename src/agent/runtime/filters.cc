#include "agent/runtime/filters.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/fd.h"
#include "base/log.h"

namespace berth::runtime {
namespace {

constexpr size_t kInstructionBytes = 8;
constexpr size_t kInstructionsMax = 4096;  // the kernel's BPF_MAXINSNS

std::string base64(const std::string& bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i)
      group = group << 8 | (at + i < bytes.size() ? static_cast<uint8_t>(bytes[at + i]) : 0);
    for (size_t i = 0; i < 4; ++i) out += at + i > bytes.size() ? '=' : kDigits[group >> (18 - 6 * i) & 63];
  }
  return out;
}

// Empty where it failed.
std::string output_of(const std::string& program, const std::vector<std::string>& arguments) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  const Fd read_end(ends[0]);
  Fd write_end(ends[1]);
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return {};
  write_end.reset();
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = read(read_end.get(), buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<size_t>(got));
  int status = 0;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) return {};
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : std::string();
}

}  // namespace

Filters::Filters(std::string program) : program_(std::move(program)) {}

const std::string& Filters::of(const std::vector<std::string>& capabilities) {
  if (const auto known = compiled_.find(capabilities); known != compiled_.end()) return known->second;
  std::string filter = output_of(program_, capabilities);
  if (filter.empty() || filter.size() % kInstructionBytes != 0 ||
      filter.size() / kInstructionBytes > kInstructionsMax) {
    log_warning("{} gives no system call filter: the OCI runtime compiles it at every start", program_);
    filter.clear();
  }
  if (compiled_.size() >= kSetsMax) compiled_.clear();
  return compiled_[capabilities] = base64(filter);
}

}  // namespace berth::runtime
