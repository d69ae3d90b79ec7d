#include "agent/companions/companions.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "agent/supervise/process.h"
#include "base/files.h"
#include "base/limits.h"
#include "base/log.h"
#include "taskdir/cgroups.h"
#include "taskdir/paths.h"

namespace berth::agent {
namespace {

constexpr int kSocketFd = 3;
constexpr int64_t kLongLifeMs = 10'000;  // one that lived so long does not fail at its start
constexpr int kEndMaxMs = 3000;

Result<Fd> listening_socket(const std::string& path) {
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof at.sun_path) return fail("'" + path + "' is too long for a socket");
  std::memcpy(at.sun_path, path.data(), path.size());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  ::unlink(path.c_str());
  if (!fd || bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || listen(fd.get(), 4) != 0)
    return fail(errno, "listen at " + path);
  ::chmod(path.c_str(), 0600);
  return fd;
}

// The process, as is_same_process() would say of it.
std::optional<taskdir::Owner> owner_of(uint32_t pid) {
  const auto boot = read_file("/proc/sys/kernel/random/boot_id", 64);
  const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!boot || !stat) return std::nullopt;
  const auto ticks = taskdir::start_ticks_of_stat(*stat);
  if (!ticks) return std::nullopt;
  return taskdir::Owner{boot->substr(0, boot->find('\n')), pid, *ticks};
}

// A pidfd of the process in `owner`, or nothing where that is gone.
Fd process_of(const std::string& directory) {
  const auto owner = read_owner(directory);
  if (!owner) return {};
  Fd pidfd = open_pidfd(owner->pid);
  return pidfd && is_same_process(*owner) ? std::move(pidfd) : Fd();  // in this order: the pid may change hands
}

void write_text(const std::string& path, const std::string& text) {
  const Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd) (void)!write(fd.get(), text.data(), text.size());
}

void send_signal(const Fd& pidfd, int signal) { (void)syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0); }

void reap(const Fd& pidfd) {
  siginfo_t info{};
  (void)waitid(static_cast<idtype_t>(3 /* P_PIDFD */), static_cast<id_t>(pidfd.get()), &info, WEXITED | WNOHANG);
}

bool wait_for_end(const Fd& pidfd, int timeout_ms) {
  pollfd one{pidfd.get(), POLLIN, 0};
  return poll(&one, 1, timeout_ms) > 0;
}

}  // namespace

struct Companions::Companion {
  CompanionKind kind;
  std::set<std::string> users;
  Fd pidfd;
  uint32_t pid = 0;
  int64_t started_ms = 0;
  int64_t pause_ms = 0;
  bool restart_waits = false;
  bool ending = false;
};

Companions::Companions(EventLoop& loop, CompanionsOptions options) : loop_(loop), options_(std::move(options)) {}

Companions::~Companions() {
  *alive_ = false;
  for (auto& [name, companion] : companions_)
    if (companion->pidfd) loop_.remove(companion->pidfd.get());
}

void Companions::add(CompanionKind kind) {
  const std::string name = kind.name;
  auto& place = companions_[name];
  place = std::make_unique<Companion>();
  Companion& companion = *place;
  companion.kind = std::move(kind);
  const std::string directory = directory_of(name);
  companion.pidfd = process_of(directory);
  if (!companion.pidfd) return;
  companion.pid = read_owner(directory)->pid;
  companion.started_ms = EventLoop::now_ms();
  watch(companion);
  companion.kind.running(directory + "/socket");
}

void Companions::use(const std::string& name, const std::string& user) {
  Companion& companion = *companions_.at(name);
  companion.users.insert(user);
  if (!companion.pidfd && !companion.restart_waits) start(companion);
}

void Companions::release(const std::string& name, const std::string& user) {
  Companion& companion = *companions_.at(name);
  if (companion.users.erase(user) > 0 && companion.users.empty() && settled_) end(companion);
}

void Companions::settle() {
  settled_ = true;
  for (auto& [name, companion] : companions_)
    if (companion->users.empty()) end(*companion);
}

uint32_t Companions::pid(const std::string& name) const {
  const auto found = companions_.find(name);
  return found == companions_.end() ? 0 : found->second->pid;
}

void Companions::start(Companion& companion) {
  if (auto spawned = spawn(companion); !spawned) {
    log_warning("cannot start the {}: {}", companion.kind.name, spawned.error().context);
    companion.started_ms = EventLoop::now_ms();
    return ended(companion);
  }
  companion.started_ms = EventLoop::now_ms();
  watch(companion);
  companion.kind.running(directory_of(companion.kind.name) + "/socket");
}

Result<void> Companions::spawn(Companion& companion) {
  const std::string directory = directory_of(companion.kind.name);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return fail(error.value(), "mkdir " + directory);
  auto listening = listening_socket(directory + "/socket");
  if (!listening) return tl::unexpected(listening.error());
  const Fd high(fcntl(listening->get(), F_DUPFD_CLOEXEC, 64));  // the target may be the source's own number
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0);
  posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (directory + "/log").c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, high.get(), kSocketFd);
  posix_spawn_file_actions_addchdir_np(&actions, "/");
  posix_spawn_file_actions_addclosefrom_np(&actions, kSocketFd + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  std::vector<char*> argv{const_cast<char*>(companion.kind.program.c_str())};
  for (const std::string& argument : companion.kind.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  char* environment[] = {nullptr};
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, companion.kind.program.c_str(), &actions, &attributes, argv.data(), environment);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail(failed, "start " + companion.kind.program);
  companion.pid = static_cast<uint32_t>(pid);
  companion.pidfd = open_pidfd(companion.pid);

  // Out of the daemon's cgroup before it does anything that a service manager could end with the daemon.
  const std::string cgroup = taskdir::instance_cgroup(options_.instance) + "/supervisors";
  std::string where;
  if (const int why = taskdir::make_cgroup(options_.cgroup_root, options_.cgroup_mode, cgroup, &where); why != 0)
    log_warning("the {} stays in the daemon's cgroup: {}: {}", companion.kind.name, where, std::strerror(why));
  for (const std::string& one : taskdir::cgroup_directories(options_.cgroup_root, options_.cgroup_mode, cgroup))
    write_text(one + "/cgroup.procs", std::to_string(pid));
  write_text("/proc/" + std::to_string(pid) + "/oom_score_adj", "-999");
  if (const auto owner = owner_of(companion.pid))
    return replace_file(directory + "/" + taskdir::kOwnerFile, taskdir::encode_owner(*owner), Durable::no);
  return {};
}

void Companions::watch(Companion& companion) {
  if (!companion.pidfd) return;
  loop_.add(companion.pidfd.get(), [this, &companion] {
    reap(companion.pidfd);
    loop_.remove(companion.pidfd.get());
    companion.pidfd.reset();
    companion.pid = 0;
    if (!companion.ending) log_warning("the {} has ended by itself and is started again", companion.kind.name);
    ended(companion);
  });
}

void Companions::ended(Companion& companion) {
  companion.ending = false;
  if (companion.users.empty()) {
    std::error_code none;
    std::filesystem::remove_all(directory_of(companion.kind.name), none);
    return;
  }
  const bool long_life = EventLoop::now_ms() - companion.started_ms >= kLongLifeMs;
  companion.pause_ms =
      long_life ? limits::kCompanionRestartMinMs
                : std::clamp(companion.pause_ms * 2, limits::kCompanionRestartMinMs, limits::kCompanionRestartMaxMs);
  companion.restart_waits = true;
  loop_.after_ms(companion.pause_ms, [this, alive = alive_, &companion] {
    if (!*alive) return;
    companion.restart_waits = false;
    if (!companion.pidfd && !companion.users.empty()) start(companion);
  });
}

void Companions::end(Companion& companion) {
  if (!companion.pidfd || companion.ending) return;
  companion.ending = true;
  send_signal(companion.pidfd, SIGTERM);
}

std::vector<Companions::Seen> Companions::list(const std::string& directory) {
  std::vector<Seen> out;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory, none)) {
    const Fd process = process_of(entry.path());
    const auto owner = read_owner(entry.path());
    out.push_back({entry.path().filename(), process && owner ? owner->pid : 0});
  }
  std::sort(out.begin(), out.end(), [](const Seen& a, const Seen& b) { return a.name < b.name; });
  return out;
}

Result<void> Companions::end_all(const std::string& directory) {
  for (const Seen& one : list(directory)) {
    const Fd process = process_of(directory + "/" + one.name);
    if (!process) continue;
    send_signal(process, SIGTERM);
    if (!wait_for_end(process, kEndMaxMs)) send_signal(process, SIGKILL);
    if (!wait_for_end(process, kEndMaxMs))
      return fail(fmt::format("the {} (process {}) does not end", one.name, one.pid));
    reap(process);
  }
  std::error_code none;
  std::filesystem::remove_all(directory, none);
  return {};
}

}  // namespace berth::agent
