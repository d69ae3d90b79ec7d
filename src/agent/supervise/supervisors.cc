#include "agent/supervise/supervisors.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "agent/supervise/process.h"
#include "base/files.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "taskdir/cgroups.h"
#include "taskdir/owner.h"
#include "taskdir/paths.h"

namespace berth::agent {

namespace {
constexpr int64_t kOwnerPatienceMs = 10'000;  // for a supervisor that was starting when the last daemon died
constexpr int64_t kOwnerRetryMs = 20;
constexpr int64_t kCleanUpPatienceMs = 30'000;  // for killed processes to be gone
constexpr int64_t kCleanUpRetryMs = 5;
constexpr size_t kPlanBytesMax = 16 * 1024 * 1024;
constexpr size_t kJournalReadBytes = 256 * 1024;
}  // namespace

struct Supervisors::Task {
  taskdir::Plan plan;
  Fd directory;
  Fd socket;
  Fd pidfd;
  Fd journal;
  uint32_t pid = 0;
  uint64_t journal_bytes = 0;
  bool journal_corrupt = false;
  std::string condemned;  // not empty: it was killed from here, and why
  bool finished = false;  // the journal's last fact was read
};

Supervisors::Supervisors(EventLoop& loop, SupervisorsOptions options, SupervisorEvents& events)
    : loop_(loop), options_(std::move(options)), events_(events), alive_(std::make_shared<bool>(true)) {
  std::error_code ignored;  // spawn() tells
  std::filesystem::create_directories(options_.tasks_directory, ignored);
  remover_ = std::make_unique<Remover>(options_.tasks_directory);
}

Supervisors::~Supervisors() {
  *alive_ = false;
  for (auto& [id, task] : tasks_) {
    if (task->socket) loop_.remove(task->socket.get());
    if (task->pidfd) loop_.remove(task->pidfd.get());
  }
}

Supervisors::Task* Supervisors::find(const std::string& task_id) {
  const auto at = tasks_.find(task_id);
  return at == tasks_.end() ? nullptr : at->second.get();
}

std::vector<std::string> Supervisors::known() const {
  std::vector<std::string> ids;
  for (const auto& [id, task] : tasks_) ids.push_back(id);
  return ids;
}

const taskdir::Plan* Supervisors::plan(const std::string& task_id) const {
  const auto at = tasks_.find(task_id);
  return at == tasks_.end() ? nullptr : &at->second->plan;
}

Result<void> Supervisors::write_bundle(const std::string& task_id, const Bundle& bundle) {
  const std::string path = directory(task_id) + "/" + taskdir::container_directory(bundle.container);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return fail(error.value(), "make " + path);
  return replace_file(path + "/config.json", bundle.config, Durable::no);
}

Result<void> Supervisors::spawn(const taskdir::Plan& plan, const std::vector<Bundle>& bundles) {
  if (knows(plan.task_id)) return fail("task " + plan.task_id + " is supervised already");
  if (plan.instance != options_.instance || !taskdir::decode_plan(taskdir::encode_plan(plan))) {
    return fail("the plan of task " + plan.task_id + " is not sound");
  }
  const std::string path = directory(plan.task_id);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno, "make " + path);
  auto task = std::make_unique<Task>();
  task->directory.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!task->directory) return fail(errno, "open " + path);
  for (const Bundle& bundle : bundles) {
    if (auto written = write_bundle(plan.task_id, bundle); !written) return written;
  }
  if (auto written = replace_file(path + "/" + taskdir::kPlanFile, taskdir::encode_plan(plan), Durable::no); !written) {
    return written;
  }
  kill_point("before-spawn");
  auto started = start_supervisor(options_.program, path, runtime_.fd(plan.runtime_path));
  kill_point("after-spawn");
  if (!started) return tl::unexpected(started.error());
  task->plan = plan;
  task->socket = std::move(started->socket);
  task->pidfd = std::move(started->pidfd);
  task->pid = started->pid;
  watch(*task);
  tasks_[plan.task_id] = std::move(task);
  return {};
}

void Supervisors::watch(Task& task) {
  const std::string id = task.plan.task_id;
  if (task.socket) loop_.add(task.socket.get(), [this, id] { socket_readable(id); });
  loop_.add(task.pidfd.get(), [this, id] { process_ended(id); });
}

Result<void> Supervisors::send(const std::string& task_id, const taskdir::Command& command) {
  const Task* task = find(task_id);
  if (task == nullptr || !task->socket) return fail("task " + task_id + " has no supervisor");
  const std::string bytes = taskdir::encode_command(command);
  if (bytes.size() > taskdir::kMessageBytesMax) return fail("the command is too long");
  if (::send(task->socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    return fail(errno, "send to the supervisor of task " + task_id);
  }
  return {};
}

void Supervisors::socket_readable(const std::string& task_id) {
  std::string buffer(taskdir::kExecuteOutputBytesMax + 256, '\0');
  for (;;) {
    Task* task = find(task_id);  // a callback may have removed it
    if (task == nullptr || !task->socket) return;
    const ssize_t got = recv(task->socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {  // it is ending; its pidfd tells
      loop_.remove(task->socket.get());
      task->socket.reset();
      return;
    }
    const auto reply = taskdir::decode_reply(std::string_view(buffer).substr(0, static_cast<size_t>(got)));
    if (!reply) continue;
    if (reply->kind == taskdir::ReplyKind::grown) {
      read_journal(*task);
      task = find(task_id);
      // Not where it cannot be opened: that may be this process's trouble, and the next ring tries again.
      if (task != nullptr && task->journal && task->journal_bytes < reply->journal_bytes) condemn_for_journal(*task);
    } else if (reply->kind == taskdir::ReplyKind::executed) {
      events_.executed(task_id, *reply);
    }
  }
}

void Supervisors::read_journal(Task& task) {
  if (!task.journal) task.journal.reset(openat(task.directory.get(), taskdir::kJournalFile, O_RDONLY | O_CLOEXEC));
  if (!task.journal || task.journal_corrupt) return;
  const std::string id = task.plan.task_id;
  std::string buffer(kJournalReadBytes, '\0');
  for (;;) {
    const ssize_t got = pread(task.journal.get(), buffer.data(), buffer.size(), static_cast<off_t>(task.journal_bytes));
    if (got <= 0) return;
    std::string_view bytes = std::string_view(buffer).substr(0, static_cast<size_t>(got));
    const uint64_t begin = task.journal_bytes;
    taskdir::Fact fact;
    taskdir::ReadFact read;
    while ((read = taskdir::read_fact(bytes, &fact)) == taskdir::ReadFact::fact) {
      task.journal_bytes = begin + static_cast<uint64_t>(got) - bytes.size();
      task.finished = task.finished || fact.kind == taskdir::FactKind::finished;
      events_.fact(id, fact);
      if (find(id) != &task) return;
    }
    if (read == taskdir::ReadFact::corrupt) return condemn_for_journal(task);
    if (task.journal_bytes == begin) return;
  }
}

// What it does from now on would be hidden: better that it ends, with a reason, and is replaced.
void Supervisors::condemn_for_journal(Task& task) {
  if (task.journal_corrupt) return;
  task.journal_corrupt = true;
  log_error("the journal of task {} is damaged at byte {}: the task is ended", task.plan.task_id, task.journal_bytes);
  condemn(task, "the journal of the task's supervisor is damaged");
}

void Supervisors::process_ended(const std::string& task_id) {
  Task* task = find(task_id);
  if (task == nullptr) return;
  loop_.remove(task->pidfd.get());
  siginfo_t info{};
  waitid(P_PIDFD, static_cast<id_t>(task->pidfd.get()), &info, WEXITED | WNOHANG);  // ours to reap, or init's
  task->pidfd.reset();
  if (task->socket) loop_.remove(task->socket.get());
  task->socket.reset();
  clean_up(task_id, EventLoop::now_ms() + kCleanUpPatienceMs);
}

// Kills what a dead supervisor left, until it is gone. In the usual case it has finished and nothing is there.
void Supervisors::clean_up(const std::string& task_id, int64_t until_ms) {
  Task* task = find(task_id);
  if (task == nullptr) return;
  const taskdir::Plan& plan = task->plan;
  taskdir::kill_task_cgroup(plan);
  const bool left = taskdir::remove_cgroup(plan.cgroup_root, plan.cgroup_mode, taskdir::task_cgroup(plan)) != 0;
  if (left && EventLoop::now_ms() < until_ms) {
    loop_.after_ms(kCleanUpRetryMs, [this, alive = alive_, task_id, until_ms] {
      if (*alive) clean_up(task_id, until_ms);
    });
    return;
  }
  if (left) log_error("processes of task {} do not die; its cgroup stays", task_id);
  std::error_code ignored;
  for (const taskdir::ContainerPlan& container : plan.containers) {
    std::filesystem::remove_all(plan.runtime_root + "/" + taskdir::runtime_id(plan.task_id, container.name), ignored);
  }
  read_journal(*task);
  task = find(task_id);
  if (task == nullptr) return;
  const std::string reason = task->finished ? std::string() : last_words(*task);
  events_.gone(task_id, reason);
}

void Supervisors::condemn(Task& task, std::string why) {
  if (task.condemned.empty()) task.condemned = std::move(why);
  if (task.pidfd) syscall(SYS_pidfd_send_signal, task.pidfd.get(), SIGKILL, nullptr, 0);
}

void Supervisors::kill(const std::string& task_id, const std::string& why) {
  if (Task* task = find(task_id)) condemn(*task, why);
}

std::string Supervisors::last_words(const Task& task) const {
  if (!task.condemned.empty()) return task.condemned;
  auto words = read_file(directory(task.plan.task_id) + "/" + taskdir::kTroubleFile, 4096);
  if (!words || words->empty()) return "the task's supervisor ended unexpectedly";
  while (!words->empty() && words->back() == '\n') words->pop_back();
  return "the task's supervisor could not start: " + *words;
}

AdoptReport Supervisors::adopt() {
  AdoptReport report;
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.tasks_directory, error)) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  for (const std::string& name : names) {
    if (name[0] != '.' && !knows(name)) adopt_one(name, report);
  }
  if (report.set_aside > 0) {
    log_warning("{} task directories could not be understood and lie in {}/.aside", report.set_aside,
                options_.tasks_directory);
  }
  return report;
}

namespace {

// No supervisor has ever taken this plan: it would hold the lock, have said who it is, or have written to the journal. The
// daemon died while it prepared the launch, and nothing of the task has run.
bool never_taken(const std::string& path) {
  struct stat journal {};
  const bool written = stat((path + "/" + taskdir::kJournalFile).c_str(), &journal) == 0 && journal.st_size > 0;
  return !written && !read_owner(path) && !is_locked(path + "/" + taskdir::kPlanFile);
}

}  // namespace

void Supervisors::adopt_one(const std::string& name, AdoptReport& report) {
  const std::string path = directory(name);
  auto bytes = read_file(path + "/" + taskdir::kPlanFile, kPlanBytesMax);
  const auto plan = bytes ? taskdir::decode_plan(*bytes) : std::nullopt;
  const bool ours = plan && plan->task_id == name && plan->instance == options_.instance;
  if (bytes ? ours && never_taken(path) : bytes.error().errno_value == ENOENT) {
    ++report.never_begun;
    remover_->remove(name);
    return;
  }
  if (!ours) {
    set_aside(name);
    ++report.set_aside;
    return;
  }
  auto owned = std::make_unique<Task>();
  Task& task = *owned;
  task.plan = *plan;
  // Cgroups are this boot's, whatever the plan of an earlier one says.
  task.plan.cgroup_root = options_.cgroup_root;
  task.plan.cgroup_mode = options_.cgroup_mode;
  task.directory.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  tasks_[name] = std::move(owned);

  // The lock tells whether a supervisor holds the directory, also one that has not written `owner` yet.
  const bool held = is_locked(path + "/" + taskdir::kPlanFile);
  const auto owner = read_owner(path);
  if (owner && is_same_process(*owner)) {
    ++report.running;
    take_over(task, owner->pid);
  } else if (!owner && held) {
    ++report.running;
    await_owner(name, EventLoop::now_ms() + kOwnerPatienceMs);
  } else {
    ++report.over;
    clean_up(name, EventLoop::now_ms() + kCleanUpPatienceMs);
  }
}

void Supervisors::await_owner(const std::string& task_id, int64_t until_ms) {
  Task* task = find(task_id);
  if (task == nullptr) return;
  const auto owner = read_owner(directory(task_id));
  if (owner && is_same_process(*owner)) return take_over(*task, owner->pid);
  const bool held = is_locked(directory(task_id) + "/" + taskdir::kPlanFile);
  if (!held || EventLoop::now_ms() > until_ms) return clean_up(task_id, EventLoop::now_ms() + kCleanUpPatienceMs);
  loop_.after_ms(kOwnerRetryMs, [this, alive = alive_, task_id, until_ms] {
    if (*alive) await_owner(task_id, until_ms);
  });
}

void Supervisors::take_over(Task& task, uint32_t pid) {
  const std::string id = task.plan.task_id;
  task.pid = pid;
  task.pidfd = open_pidfd(pid);
  const auto owner = read_owner(directory(id));
  // Between the look and the pidfd the process may have ended and its pid gone to another: look again.
  if (!task.pidfd || !owner || !is_same_process(*owner)) {
    task.pidfd.reset();
    return clean_up(id, EventLoop::now_ms() + kCleanUpPatienceMs);
  }
  if (!connect(task)) log_warning("the supervisor of task {} does not answer; it is ending", id);
  watch(task);
  (void)send(id, {.kind = taskdir::CommandKind::query});  // its journal must be as long as it says
  read_journal(task);
}

bool Supervisors::connect(Task& task) {
  task.socket.reset(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", task.directory.get(),
           taskdir::kSocketFile);
  if (!task.socket || ::connect(task.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    task.socket.reset();
    return false;
  }
  return true;
}

void Supervisors::set_aside(const std::string& name) {
  // Its processes, if it has any, are nobody's: the name still tells where they would be.
  if (taskdir::is_safe_name(name)) {
    const std::string cgroup = taskdir::instance_cgroup(options_.instance) + "/" + name;
    if (name != "supervisors") taskdir::kill_cgroup(options_.cgroup_root, options_.cgroup_mode, cgroup);
  }
  const std::string aside = options_.tasks_directory + "/.aside";
  mkdir(aside.c_str(), 0700);
  std::string target = aside + "/" + name;
  for (int i = 1; access(target.c_str(), F_OK) == 0; ++i) target = aside + "/" + name + "." + std::to_string(i);
  if (rename(directory(name).c_str(), target.c_str()) != 0) {
    log_error("{} is no task's directory and cannot be set aside", directory(name));
  }
}

void Supervisors::remove(const std::string& task_id) {
  if (Task* task = find(task_id)) {
    if (task->socket) loop_.remove(task->socket.get());
    if (task->pidfd) loop_.remove(task->pidfd.get());
    tasks_.erase(task_id);
  }
  remover_->remove(task_id);
}

}  // namespace berth::agent
