#include "supervise_world.h"

#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "agent/runtime/oci_config.h"
#include "agent/supervise/process.h"
#include "logstore/segment.h"
#include "taskdir/cgroups.h"
#include "taskdir/paths.h"

namespace berth::host_test {

namespace fs = std::filesystem;
using taskdir::Fact;
using taskdir::FactKind;

namespace {
constexpr const char* kBusybox = "/bin/busybox";
constexpr int64_t kPatienceMs = 30'000;
}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool is_alive(uint32_t pid) {
  const std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat");
  const size_t bracket = stat.rfind(')');
  return bracket != std::string::npos && stat[bracket + 2] != 'Z' && stat[bracket + 2] != 'X';
}

std::string log_directory(const std::string& world, const std::string& task, const std::string& container) {
  return world + "/logs/" + task + "." + container;
}

void SuperviseWorld::SetUp() {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: it starts real containers";
  runtime_ = runtime::probe();
  ASSERT_FALSE(runtime_.path.empty()) << runtime_.problem;
  ASSERT_EQ(access(kBusybox, X_OK), 0) << "apt install busybox-static";
  static int worlds = 0;
  instance_ = "test" + std::to_string(getpid()) + "x" + std::to_string(++worlds);
  char path[] = "/tmp/berth-supervise-XXXXXX";
  ASSERT_NE(mkdtemp(path), nullptr);
  directory_ = path;
  for (const char* name : {"/tasks", "/logs", "/runtime", "/layer"}) fs::create_directory(directory_ + name);
  make_image();
  loop_ = std::make_unique<agent::EventLoop>();
  restart_daemon();
}

void SuperviseWorld::make_image() {
  image_ = directory_ + "/layer";
  for (const char* name : {"/bin", "/etc", "/proc", "/sys", "/dev", "/tmp"}) fs::create_directory(image_ + name);
  fs::copy_file(kBusybox, image_ + "/bin/busybox");
  for (const char* name :
       {"sh",    "echo", "cat",   "sleep",    "id",   "mount", "unshare", "touch", "seq",      "true",
        "false", "kill", "grep",  "trap",     "stat", "dd",    "chroot",  "date",  "ls",       "mkdir",
        "head",  "tail", "mknod", "hostname", "awk",  "chown", "ps",      "wc",    "readlink", "df"}) {
    fs::create_symlink("busybox", image_ + "/bin/" + name);
  }
  std::ofstream(image_ + "/etc/passwd") << "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1001::/home/alice:/bin/sh\n";
  std::ofstream(image_ + "/etc/group") << "root:x:0:\nstaff:x:50:alice\nalice:x:1001:\n";
}

void SuperviseWorld::TearDown() {
  if (directory_.empty()) return;
  // Stop everything, whatever state it is in.
  if (supervisors_) {
    std::vector<std::string> tasks;
    for (const auto& entry : fs::directory_iterator(directory_ + "/tasks")) tasks.push_back(entry.path().filename());
    for (const std::string& task : tasks) {
      const auto owner = agent::read_owner(directory_ + "/tasks/" + task);
      if (owner && agent::is_same_process(*owner)) kill(static_cast<pid_t>(owner->pid), SIGKILL);
    }
  }
  supervisors_.reset();
  loop_.reset();
  const std::string cgroup = taskdir::instance_cgroup(instance_);
  int error = 0;
  for (int i = 0; i < 600; ++i) {  // killed processes leave their cgroup when the kernel gets to it
    taskdir::kill_cgroup(runtime_.cgroup_root, runtime_.cgroup_mode, cgroup);
    error = taskdir::remove_cgroup(runtime_.cgroup_root, runtime_.cgroup_mode, cgroup);
    if (error == 0) break;
    poll(nullptr, 0, 5);
  }
  EXPECT_EQ(error, 0) << "the cgroup " << cgroup << " cannot be removed";
  EXPECT_EQ(read_file("/proc/self/mountinfo").find(directory_ + "/tasks"), std::string::npos)
      << "a mount of a task is in the host's mount namespace";
  umount2((directory_ + "/logs").c_str(), MNT_DETACH);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

agent::AdoptReport SuperviseWorld::restart_daemon() {
  supervisors_.reset();
  agent::SupervisorsOptions options;
  options.tasks_directory = directory_ + "/tasks";
  options.program = BERTH_SUPERVISOR;
  options.instance = instance_;
  options.cgroup_root = runtime_.cgroup_root;
  options.cgroup_mode = runtime_.cgroup_mode;
  supervisors_ = std::make_unique<agent::Supervisors>(*loop_, options, *this);
  facts_read_.clear();
  return supervisors_->adopt();
}

std::string SuperviseWorld::new_task_id() {
  char id[33];
  snprintf(id, sizeof id, "%032x", ++tasks_);
  return id;
}

SuperviseWorld::Container SuperviseWorld::container(const std::string& name, const std::string& script) const {
  Container c;
  c.plan.name = name;
  c.plan.lower_directories = {image_};
  c.plan.stop_timeout_ms = 20'000;
  c.spec.command = {"/bin/sh", "-c", script};
  c.spec.open_files_max = runtime_.open_files_max;
  c.spec.hostname = "testhost";
  c.spec.init_program = BERTH_SUPERVISOR;
  return c;
}

SuperviseWorld::Container SuperviseWorld::idle(const std::string& name) const {
  Container c = container(name, "exec sleep 100000");
  c.spec.init_process = true;
  return c;
}

taskdir::Plan SuperviseWorld::plan_of(const std::string& task, const std::vector<Container>& containers) const {
  taskdir::Plan plan;
  plan.task_id = task;
  plan.instance = instance_;
  plan.runtime_path = runtime_.path;
  plan.runtime_root = directory_ + "/runtime";
  plan.cgroup_root = runtime_.cgroup_root;
  plan.cgroup_mode = runtime_.cgroup_mode;
  for (const Container& c : containers) {
    plan.containers.push_back(c.plan);
    if (plan.containers.back().log.directory.empty()) {
      plan.containers.back().log.directory = log_directory(directory_, task, c.plan.name);
    }
  }
  return plan;
}

Result<void> SuperviseWorld::spawn(const taskdir::Plan& plan, std::vector<Container> containers) {
  std::vector<agent::Bundle> bundles;
  for (Container& c : containers) {
    const std::string bundle = supervisors_->directory(plan.task_id) + "/" + taskdir::container_directory(c.plan.name);
    c.spec.root = bundle + "/root";
    c.spec.cgroup = "/" + taskdir::task_cgroup(plan) + "/" + c.plan.name;
    const auto capabilities = runtime::capabilities_of(c.spec.capabilities_add, c.spec.capabilities_drop);
    if (!capabilities) return tl::unexpected(capabilities.error());
    if (compiled_filters_) c.spec.compiled_filter = filters_.of(*capabilities);
    auto config = runtime::oci_config(c.spec);
    if (!config) return tl::unexpected(config.error());
    bundles.push_back({c.plan.name, *config});
  }
  return supervisors_->spawn(plan, bundles);
}

void SuperviseWorld::start(const std::string& task, uint32_t index) {
  const auto sent = supervisors_->send(task, {.kind = taskdir::CommandKind::start, .container = index});
  EXPECT_TRUE(sent) << sent.error().context;
}

void SuperviseWorld::stop(const std::string& task) {
  const auto sent = supervisors_->send(task, {.kind = taskdir::CommandKind::stop_task, .text = "the test says so"});
  EXPECT_TRUE(sent) << sent.error().context;
}

std::string SuperviseWorld::run(std::vector<Container> containers, uint64_t memory_limit_bytes) {
  const std::string task = new_task_id();
  taskdir::Plan plan = plan_of(task, containers);
  plan.memory_limit_bytes = memory_limit_bytes;
  const auto spawned = spawn(plan, containers);
  EXPECT_TRUE(spawned) << spawned.error().context;
  if (!spawned) return task;
  for (uint32_t i = 0; i < containers.size(); ++i) start(task, i);
  return task;
}

bool SuperviseWorld::wait(const std::function<bool()>& condition) {
  const int64_t until = agent::EventLoop::now_ms() + kPatienceMs;
  while (!condition()) {
    const int64_t left = until - agent::EventLoop::now_ms();
    if (left <= 0) return false;
    loop_->run_once(static_cast<int>(std::min<int64_t>(left, 100)));
  }
  return true;
}

const Fact* SuperviseWorld::find(const std::string& task, FactKind kind, uint32_t container, uint32_t attempt) const {
  for (const Seen& seen : facts_) {
    if (seen.task == task && seen.fact.kind == kind &&
        (container == taskdir::kNoContainer || seen.fact.container == container) &&
        (attempt == 0 || seen.fact.attempt == attempt)) {
      return &seen.fact;
    }
  }
  return nullptr;
}

Fact SuperviseWorld::await(const std::string& task, FactKind kind, uint32_t container, uint32_t attempt) {
  if (wait([&] { return find(task, kind, container, attempt) != nullptr || gone_.contains(task); })) {
    if (const Fact* found = find(task, kind, container, attempt)) return *found;
  }
  std::string seen;
  for (const Seen& one : facts_) {
    seen += " " + std::to_string(static_cast<int>(one.fact.kind)) + "(" + one.fact.reason + ")";
  }
  ADD_FAILURE() << "fact " << static_cast<int>(kind) << " did not come; seen:" << seen
                << "; gone: " << (gone_.contains(task) ? "yes: " + gone_[task] : "no");
  return {};
}

bool SuperviseWorld::await_gone(const std::string& task) {
  return wait([&] { return gone_.contains(task); });
}

Fact SuperviseWorld::run_to_end(Container one) {
  one.plan.name = "main";
  last_task_ = run({one});
  EXPECT_TRUE(await_gone(last_task_));
  EXPECT_EQ(gone_[last_task_], "");
  if (const Fact* failed = find(last_task_, FactKind::start_failed)) {
    ADD_FAILURE() << "the container did not start: " << failed->reason;
    return {};
  }
  return await(last_task_, FactKind::container_exited);
}

std::vector<std::string> SuperviseWorld::lines(const std::string& task, const std::string& container) const {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(log_directory(directory_, task, container), error)) {
    if (logstore::parse_segment_name(entry.path().filename().string())) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::vector<std::string> lines;
  for (const std::string& file : files) {
    const std::string bytes = read_file(file);
    if (bytes.size() < sizeof(logstore::SegmentHeader)) continue;  // just begun
    logstore::RecordWalk walk(std::string_view(bytes).substr(sizeof(logstore::SegmentHeader)), true);
    logstore::RecordView record;
    while (walk.next(record)) lines.emplace_back(record.message);
    EXPECT_FALSE(walk.damaged()) << file;
  }
  return lines;
}

taskdir::Reply SuperviseWorld::execute(const std::string& task, std::vector<std::string> arguments,
                                       uint32_t timeout_ms) {
  const uint64_t id = ++executions_;
  const auto sent = supervisors_->send(task, {.kind = taskdir::CommandKind::execute,
                                              .container = 0,
                                              .timeout_ms = timeout_ms,
                                              .id = id,
                                              .arguments = std::move(arguments)});
  EXPECT_TRUE(sent) << sent.error().context;
  const auto answered = [&] {
    return std::find_if(replies_.begin(), replies_.end(), [&](const auto& reply) { return reply.id == id; });
  };
  EXPECT_TRUE(wait([&] { return answered() != replies_.end(); }));
  return answered() == replies_.end() ? taskdir::Reply{} : *answered();
}

void SuperviseWorld::fact(const std::string& task_id, const Fact& fact) {
  if (facts_read_[task_id]++ < facts_known_[task_id]) return;
  ++facts_known_[task_id];
  facts_.push_back({task_id, fact});
}
void SuperviseWorld::executed(const std::string&, const taskdir::Reply& reply) { replies_.push_back(reply); }
void SuperviseWorld::gone(const std::string& task_id, const std::string& reason) { gone_[task_id] = reason; }

}  // namespace berth::host_test
