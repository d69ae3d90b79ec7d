// What a task costs: the time from spawn() to its container's first instruction, beside the bare OCI runtime with the
// same bundle, and what an idle task takes. Prints figures; not part of `make test`.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "agent/runtime/oci_config.h"
#include "supervise_world.h"

namespace berth::host_test {
namespace {

int64_t now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}

double median_ms(std::vector<int64_t> us) {
  std::sort(us.begin(), us.end());
  return static_cast<double>(us[us.size() / 2]) / 1000;
}

class SuperviseBench : public SuperviseWorld {
 protected:
  void SetUp() override {
    SuperviseWorld::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    std::filesystem::copy_file(BERTH_CLOCK_PROGRAM, image_ + "/bin/clock");
  }

  // The bundle as the supervisor has it, run by the runtime alone. In the mount namespace of the caller.
  int64_t bare(int i) {
    const std::string bundle = directory_ + "/bare";
    const std::string id = instance_ + "-bare" + std::to_string(i);
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    const std::string root = directory_ + "/runtime";
    std::vector<std::string> arguments = {runtime_.path, "--root", root,         "run",           "--detach",
                                          "--bundle",    bundle,   "--pid-file", bundle + "/pid", id};
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    char* environment[] = {nullptr};
    pid_t pid = 0;
    const int64_t begin = now_us();
    EXPECT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    char text[64] = {};
    [[maybe_unused]] const ssize_t got = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    waitpid(pid, nullptr, 0);
    pid_t remove = 0;
    std::vector<std::string> words = {runtime_.path, "--root", root, "delete", "--force", id};
    argv.clear();
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn(&remove, argv[0], nullptr, nullptr, argv.data(), environment);
    waitpid(remove, nullptr, 0);
    return atoll(text) - begin;
  }

  int64_t supervised() {
    Container one = container("main", "");
    one.spec.command = {"/bin/clock"};
    const int64_t begin = now_us();
    const std::string task = run({one});
    EXPECT_TRUE(await_gone(task));
    const auto written = lines(task, "main");
    if (written.size() != 1) return INT64_MAX;
    supervisors_->remove(task);
    return atoll(written[0].c_str()) - begin;
  }
};

int64_t kib_of(const std::string& text, const std::string& name) {
  const size_t at = text.find(name);
  return at == std::string::npos ? 0 : atoll(text.c_str() + at + name.size());
}

TEST_F(SuperviseBench, Launch) {
  if (runtime_.cgroup_mode == taskdir::CgroupMode::hybrid) {
    ASSERT_EQ(unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  }
  const std::string bundle = directory_ + "/bare";
  std::filesystem::create_directories(bundle);
  Container one = container("main", "");
  one.spec.command = {"/bin/clock"};
  one.spec.root = image_;
  one.spec.cgroup = "/berth-" + instance_ + "/bare";
  std::ofstream(bundle + "/config.json") << *runtime::oci_config(one.spec);
  const std::string unified = runtime_.cgroup_root + "/unified";
  std::vector<int64_t> bares;
  std::vector<int64_t> ours;
  for (int i = 0; i < 60; ++i) {  // in turn, so that whatever else the machine does hits both
    ours.push_back(supervised());
    if (i == 0 && runtime_.cgroup_mode == taskdir::CgroupMode::hybrid) {
      umount2(unified.c_str(), MNT_DETACH);
    }
    bares.push_back(bare(i));
  }
  std::printf("launch to first instruction, median of 60: %s alone %.2f ms, supervised %.2f ms, ratio %.2f\n",
              runtime_.name.c_str(), median_ms(bares), median_ms(ours), median_ms(ours) / median_ms(bares));
}

TEST_F(SuperviseBench, IdleTask) {
  constexpr int kTasks = 50;
  std::vector<std::string> tasks;
  for (int i = 0; i < kTasks; ++i) {
    Container one = container("main", "");
    one.spec.command = {"/bin/clock", "wait"};
    tasks.push_back(run({one}));
    ASSERT_TRUE(wait([&] { return find(tasks.back(), taskdir::FactKind::container_started) != nullptr; }));
  }
  // Of the instance's cgroup, which charges supervisors, containers and what the kernel holds for both: other processes
  // of the machine do not disturb it.
  const auto charged_kib = [&](const std::string& below) {
    const bool v2 = runtime_.cgroup_mode == taskdir::CgroupMode::v2;
    const std::string directory = runtime_.cgroup_root + (v2 ? "/berth-" : "/memory/berth-") + instance_ + below;
    return atoll(read_file(directory + (v2 ? "/memory.current" : "/memory.usage_in_bytes")).c_str()) / 1024;
  };
  int64_t uss = 0;
  int64_t pss = 0;
  for (const Seen& seen : facts_) {
    if (seen.fact.kind != taskdir::FactKind::supervising) continue;
    const std::string text = read_file("/proc/" + std::to_string(seen.fact.pid) + "/smaps_rollup");
    uss += kib_of(text, "Private_Clean:") + kib_of(text, "Private_Dirty:");
    pss += kib_of(text, "Pss:");
  }
  std::printf(
      "idle task: supervisor USS %lld KiB, PSS %lld KiB; charged to supervisors' cgroup %lld KiB a task, to "
      "supervisor and container together %lld KiB\n",
      static_cast<long long>(uss / kTasks), static_cast<long long>(pss / kTasks),
      static_cast<long long>(charged_kib("/supervisors") / kTasks), static_cast<long long>(charged_kib("") / kTasks));
  for (const std::string& task : tasks) {
    supervisors_->send(task, {.kind = taskdir::CommandKind::stop_container, .signal = SIGKILL});
  }
  for (const std::string& task : tasks) EXPECT_TRUE(await_gone(task));
}

}  // namespace
}  // namespace berth::host_test
