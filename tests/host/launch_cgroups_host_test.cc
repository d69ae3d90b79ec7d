// A task's cgroup before there is a task in it.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "agent/supervise/launch_cgroups.h"
#include "supervise_world.h"
#include "taskdir/cgroups.h"

namespace berth::host_test {
namespace {

using taskdir::FactKind;

class LaunchCgroupsHostTest : public SuperviseWorld {
 protected:
  // Returns when it is done: a destructor finishes what was posted.
  template <class Work>
  void with_cgroups(Work work) {
    agent::LaunchCgroups cgroups(instance_, runtime_.cgroup_root, runtime_.cgroup_mode, runtime_.own_cgroup_procs);
    work(cgroups);
  }
  size_t directories_of(const std::string& task) const {
    size_t there = 0;
    for (const std::string& directory :
         taskdir::cgroup_directories(runtime_.cgroup_root, runtime_.cgroup_mode, taskdir::task_cgroup(instance_, task)))
      there += std::filesystem::is_directory(directory);
    return there;
  }
  static std::string own_cgroups() {
    std::ifstream file("/proc/self/cgroup");
    return {std::istreambuf_iterator<char>(file), {}};
  }
};

TEST_F(LaunchCgroupsHostTest, AreMadeAndTakenAwayAndMoveNobody) {
  const std::string task = new_task_id();
  const std::string before = own_cgroups();
  EXPECT_FALSE(runtime_.own_cgroup_procs.empty());
  with_cgroups([&](agent::LaunchCgroups& cgroups) { cgroups.prepare(task); });
  EXPECT_GT(directories_of(task), 0u);
  EXPECT_EQ(own_cgroups(), before);
  with_cgroups([&](agent::LaunchCgroups& cgroups) { cgroups.remove(task); });
  EXPECT_EQ(directories_of(task), 0u) << "of a launch that came to nothing";
}

TEST_F(LaunchCgroupsHostTest, ThoseThatNoTaskHasAreCollected) {
  const std::string task = new_task_id(), left = new_task_id();
  with_cgroups([&](agent::LaunchCgroups& cgroups) {
    cgroups.prepare(task);
    cgroups.prepare(left);
  });
  with_cgroups([&](agent::LaunchCgroups& cgroups) {
    std::vector<std::string> present = cgroups.present();
    EXPECT_NE(std::find(present.begin(), present.end(), task), present.end());
    EXPECT_NE(std::find(present.begin(), present.end(), left), present.end());
    EXPECT_EQ(std::find(present.begin(), present.end(), "supervisors"), present.end());
    cgroups.collect({left});
  });
  EXPECT_GT(directories_of(task), 0u);
  EXPECT_EQ(directories_of(left), 0u);
  with_cgroups([&](agent::LaunchCgroups& cgroups) { cgroups.remove(task); });
}

TEST_F(LaunchCgroupsHostTest, ATaskTakesItsOwnAndLeavesNothing) {
  const std::string task = new_task_id();
  with_cgroups([&](agent::LaunchCgroups& cgroups) {
    cgroups.prepare(task);
    cgroups.prepare(task);  // ordered again after a crash
  });
  const std::vector<Container> containers = {idle("main")};
  ASSERT_TRUE(spawn(plan_of(task, containers), containers));
  start(task, 0);
  await(task, FactKind::container_started);
  stop(task);
  EXPECT_TRUE(await_gone(task));
  EXPECT_EQ(directories_of(task), 0u);
  with_cgroups([&](agent::LaunchCgroups& cgroups) { cgroups.remove(task); });
}

TEST_F(LaunchCgroupsHostTest, LoseTheirCeilingWithTheProcessesThatAreKilledInThem) {
  taskdir::Plan plan = plan_of(new_task_id(), {});
  plan.cpu_quota_us = 25'000;
  std::string where;
  ASSERT_EQ(taskdir::make_task_cgroup(plan, &where), 0) << where;
  const auto ceilings = [&] {
    std::string out;
    for (const std::string& directory :
         taskdir::cgroup_directories(plan.cgroup_root, plan.cgroup_mode, taskdir::task_cgroup(plan)))
      out += read_file(directory + "/cpu.max") + read_file(directory + "/cpu.cfs_quota_us");
    return out;
  };
  const bool v2 = plan.cgroup_mode == taskdir::CgroupMode::v2;
  EXPECT_EQ(taskdir::kill_task_cgroup(plan), 0);
  EXPECT_EQ(ceilings(), v2 ? "25000 100000\n" : "25000\n") << "nobody was killed";
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    for (;;) pause();
  }
  for (const std::string& directory :
       taskdir::cgroup_directories(plan.cgroup_root, plan.cgroup_mode, taskdir::task_cgroup(plan) + "/main")) {
    std::filesystem::create_directory(directory);
    std::ofstream(directory + "/cgroup.procs") << child;
  }
  EXPECT_GT(taskdir::kill_task_cgroup(plan), 0);
  EXPECT_EQ(ceilings(), v2 ? "max 100000\n" : "-1\n");
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status));
}

}  // namespace
}  // namespace berth::host_test
