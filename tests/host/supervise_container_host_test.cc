// What a container finds inside: root, rights, limits, network, volumes, init process, health checks.
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "agent/runtime/users.h"
#include "supervise_world.h"
#include "taskdir/paths.h"

namespace berth::host_test {
namespace {

using taskdir::FactKind;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class SuperviseContainerHostTest : public SuperviseWorld {};

TEST_F(SuperviseContainerHostTest, ReadonlyRoot) {
  Container one = container("main", "touch /x && echo wrote; touch /tmp/y && echo tmp; exit 0");
  one.spec.readonly_root = true;
  one.spec.tmpfs = {{"/tmp", 1, {}}};
  run_to_end(one);
  EXPECT_THAT(last_lines(), testing::Not(Contains("wrote")));
  EXPECT_THAT(last_lines(), Contains("tmp"));
}

// As many as an image may have, with names as long as an image store's.
TEST_F(SuperviseContainerHostTest, ARootOf127LayersIsMounted) {
  Container one = container("main", "cat /layer/5 /layer/125 /layer/top; stat -c %F /layers 2>&1");
  std::vector<std::string> layers;
  for (int i = 0; i < 126; ++i) {
    const std::string layer = directory_ + "/" + std::string(61, 'f') + std::to_string(100 + i);
    std::filesystem::create_directories(layer + "/layer");
    std::ofstream(layer + "/layer/" + std::to_string(i)) << "of layer " << i << "\n";
    std::ofstream(layer + "/layer/top") << "topmost " << i << "\n";
    layers.insert(layers.begin(), layer);
  }
  layers.push_back(image_);
  one.plan.lower_directories = layers;
  run_to_end(one);
  EXPECT_THAT(last_lines(), ElementsAre("of layer 5", "of layer 125", "topmost 125", HasSubstr("No such file")));
}

TEST_F(SuperviseContainerHostTest, TmpfsHasItsSizeAndOptions) {
  Container one = container("main", "dd if=/dev/zero of=/scratch/a bs=1M count=4 2>&1; grep ' /scratch ' /proc/mounts");
  one.spec.tmpfs = {{"/scratch", 2, {"mode=1770"}}};
  run_to_end(one);
  EXPECT_THAT(last_lines(), Contains(HasSubstr("No space left")));
  EXPECT_THAT(last_lines(),
              Contains(testing::AllOf(HasSubstr("size=2048k"), HasSubstr("noexec"), HasSubstr("mode=1770"))));
}

TEST_F(SuperviseContainerHostTest, CapabilitiesAreDockersDefaultAndWhatTheDefinitionSays) {
  run_to_end(container("main", "grep -E 'Cap(Eff|Bnd|Inh|Amb)' /proc/self/status"));
  EXPECT_THAT(last_lines(), ElementsAre("CapInh:\t0000000000000000", "CapEff:\t00000000a80425fb",
                                        "CapBnd:\t00000000a80425fb", "CapAmb:\t0000000000000000"));
  Container one = container("main", "grep CapEff /proc/self/status; chown 1 /tmp || echo refused");
  one.spec.capabilities_add = {"SYS_PTRACE"};
  one.spec.capabilities_drop = {"CHOWN"};
  run_to_end(one);
  EXPECT_THAT(last_lines(), Contains("CapEff:\t00000000a80c25fa"));
  EXPECT_THAT(last_lines(), Contains("refused"));
}

TEST_F(SuperviseContainerHostTest, TheSystemCallFilterRefusesTheDangerousAndLetsTheRestWork) {
  run_to_end(container("main",
                       "grep Seccomp: /proc/self/status; unshare -m true 2>&1; unshare -U true 2>&1; "
                       "mount -t tmpfs x /tmp 2>&1; mkdir /tmp/d && ls -l / >/dev/null && date >/dev/null && "
                       "(echo a | cat) && ps >/dev/null && echo fine"));
  EXPECT_THAT(last_lines(), Contains("Seccomp:\t2"));
  EXPECT_THAT(last_lines(), Contains(HasSubstr("unshare: unshare(0x20000): Operation not permitted")));
  EXPECT_THAT(last_lines(), Contains(HasSubstr("unshare: unshare(0x10000000): Operation not permitted")));
  EXPECT_THAT(last_lines(), Contains(testing::AllOf(HasSubstr("mount"), HasSubstr("denied"))));
  EXPECT_THAT(last_lines(), Contains("fine"));
}

TEST_F(SuperviseContainerHostTest, TheSystemCallFilterGivesEpermAndForClone3Enosys) {
  const std::string probe = directory_ + "/layer/bin/calls";
  std::filesystem::copy_file(BERTH_SYSTEM_CALLS, probe);
  for (const bool compiled : {true, false}) {
    SCOPED_TRACE(compiled);
    compiled_filters_ = compiled;
    Container one = container("main", "exec /bin/calls");
    one.spec.capabilities_add = {"SYS_PTRACE"};
    run_to_end(one);
    EXPECT_THAT(last_lines(),
                ElementsAre("kexec_load 1", "mount 1", "unshare 1", "setns 1", "bpf 1", "keyctl 1", "userfaultfd 1",
                            "io_uring_setup 1", "clone_newuser 1", "clone3 38", "socket_vsock 1", "init_module 1",
                            "reboot 1", "swapon 1", "kcmp 0", "getpid 0", "socket_inet 0", "memfd_create 0"));
  }
}

// Instruction for instruction, so that nothing has to be shown of the one that is not shown of the other.
TEST_F(SuperviseContainerHostTest, TheCompiledFilterIsTheOneThatTheRuntimeMakes) {
  if (runtime_.name != "crun") GTEST_SKIP() << "only crun keeps what it made";
  for (const char* added : {"CHOWN", "SYS_PTRACE", "SYS_ADMIN"}) {
    SCOPED_TRACE(added);
    std::string made[2];
    for (const bool compiled : {true, false}) {
      compiled_filters_ = compiled;
      Container one = idle("main");
      one.spec.capabilities_add = {added};
      const std::string task = run({one});
      await(task, taskdir::FactKind::container_started, 0);
      made[compiled] = read_file(directory_ + "/runtime/" + taskdir::runtime_id(task, "main") + "/seccomp.bpf");
      const auto reply = execute(task, {"grep", "Seccomp:", "/proc/self/status"}, 10'000);
      EXPECT_EQ(reply.output, "Seccomp:\t2\n");
      stop(task);
      EXPECT_TRUE(await_gone(task));
    }
    EXPECT_FALSE(made[false].empty());
    EXPECT_TRUE(made[true] == made[false]) << made[true].size() << " bytes, and " << made[false].size();
  }
}

// The daemon's directory of namespaces, as network/instance.h draws it, with the task's and another's.
TEST_F(SuperviseContainerHostTest, JoinsItsNetworkNamespaceAndHoldsNoOther) {
  const std::string namespaces = directory_ + "/netns";
  std::filesystem::create_directory(namespaces);
  ASSERT_EQ(mount("berth", namespaces.c_str(), "tmpfs", 0, "size=1m"), 0);
  ASSERT_EQ(mount(nullptr, namespaces.c_str(), nullptr, MS_PRIVATE, nullptr), 0);
  const std::string own = namespaces + "/own";
  for (const std::string& path : {own, namespaces + "/other"}) {
    std::ofstream(path).flush();
    std::thread([&] {
      EXPECT_EQ(unshare(CLONE_NEWNET), 0);
      EXPECT_EQ(mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr), 0);
    }).join();
  }
  struct stat status {};
  EXPECT_EQ(stat(own.c_str(), &status), 0);

  const std::string task = new_task_id();
  Container one = idle("main");
  one.spec.network_namespace = supervisors_->directory(task) + "/" + taskdir::kNetworkNamespaceFile;
  taskdir::Plan plan = plan_of(task, {one});
  plan.network_namespace = own;
  EXPECT_TRUE(spawn(plan, {one}));
  start(task, 0);
  await(task, FactKind::container_started, 0);
  const std::string mounts =
      read_file("/proc/" + std::to_string(await(task, FactKind::supervising).pid) + "/mountinfo");
  EXPECT_THAT(mounts, HasSubstr(one.spec.network_namespace + " "));
  EXPECT_THAT(mounts, testing::Not(HasSubstr(namespaces)));
  EXPECT_EQ(execute(task, {"readlink", "/proc/self/ns/net"}, 10'000).output,
            "net:[" + std::to_string(status.st_ino) + "]\n");
  stop(task);
  EXPECT_TRUE(await_gone(task));
  EXPECT_EQ(umount2(namespaces.c_str(), MNT_DETACH), 0);
}

TEST_F(SuperviseContainerHostTest, RunsAsTheUserInItsDirectory) {
  Container one = container("main", "id; echo $HOME; readlink /proc/self/cwd; grep CapEff /proc/self/status; hostname");
  const auto user = runtime::resolve_user("alice", read_file(image_ + "/etc/passwd"), read_file(image_ + "/etc/group"));
  ASSERT_TRUE(user);
  one.spec.user = *user;
  one.spec.working_directory = "/made/for/it";
  run_to_end(one);
  EXPECT_THAT(last_lines(), ElementsAre("uid=1000(alice) gid=1001(alice) groups=50(staff),1001(alice)", "/home/alice",
                                        "/made/for/it", "CapEff:\t0000000000000000", "testhost"));
}

TEST_F(SuperviseContainerHostTest, Ulimits) {
  Container one = container("main", "ulimit -n; ulimit -Hn; ulimit -c");
  one.spec.resource_limits = {{"nofile", 1234, 2345}, {"core", 0, 0}};
  run_to_end(one);
  EXPECT_THAT(last_lines(), ElementsAre("1234", "2345", "0"));
  run_to_end(container("main", "ulimit -n"));
  const int64_t all = 65535;
  EXPECT_THAT(last_lines(),
              ElementsAre(std::to_string(runtime_.open_files_max > 0 ? std::min(all, runtime_.open_files_max) : all)));
}

TEST_F(SuperviseContainerHostTest, ContainersShareAVolume) {
  const std::string volume = directory_ + "/volume";
  std::filesystem::create_directory(volume);
  Container writer = container("writer", "echo hello > /data/x");
  writer.plan.stops_task = false;
  writer.spec.binds = {{volume, "/data", false}};
  Container reader = container("main", "until [ -s /mnt/x ]; do sleep 0.02; done; cat /mnt/x; touch /mnt/y || echo no");
  reader.spec.binds = {{volume, "/mnt", true}};
  const std::string task = run({writer, reader});
  ASSERT_TRUE(await_gone(task));
  EXPECT_THAT(lines(task, "main"), Contains("hello"));
  EXPECT_THAT(lines(task, "main"), Contains("no"));
}

// The image's link to the host's /etc must lead to its own.
TEST_F(SuperviseContainerHostTest, AVolumeBeginsWithWhatTheImageHasThere) {
  std::filesystem::create_directories(image_ + "/srv/seed");
  std::ofstream(image_ + "/srv/seed/file") << "from the image\n";
  std::filesystem::permissions(image_ + "/srv/seed", std::filesystem::perms(0750));
  ASSERT_EQ(chown((image_ + "/srv/seed").c_str(), 1000, 1001), 0);
  std::filesystem::create_directory_symlink("/etc", image_ + "/srv/link");
  const auto volume = [&](const std::string& task, const std::string& name) {
    return supervisors_->directory(task) + "/volumes/" + name;
  };
  const std::string task = new_task_id();
  Container reader =
      container("reader",
                "until [ -e /mnt/seed/done ]; do sleep 0.02; done; cat /mnt/seed/file /mnt/seed/new; "
                "stat -c '%u %g %a' /mnt/seed; cat /mnt/link/group; ls /mnt/none; touch /mnt/none/x && echo rw");
  reader.plan.stops_task = false;
  Container owner = container("owner", "echo new > /srv/seed/new; touch /srv/seed/done; exec sleep 100000");
  for (const char* name : {"seed", "link", "none"}) {
    reader.spec.binds.push_back({volume(task, name), std::string("/mnt/") + name, false});
  }
  owner.spec.binds = {{volume(task, "seed"), "/srv/seed", false}};
  owner.spec.readonly_root = true;
  taskdir::Plan plan = plan_of(task, {reader, owner});
  plan.image_volumes = {{"seed", 1, "/srv/seed"}, {"link", 1, "/srv/link"}, {"none", 1, "/srv/none"}};
  for (const char* name : {"seed", "link", "none"}) std::filesystem::create_directories(volume(task, name));
  ASSERT_TRUE(spawn(plan, {reader, owner}));
  start(task, 0);  // the one whose root it is not
  start(task, 1);
  await(task, FactKind::container_exited, 0);
  EXPECT_THAT(lines(task, "reader"), ElementsAre("from the image", "new", "1000 1001 750",
                                                 "root:x:0:", "staff:x:50:alice", "alice:x:1001:", "rw"));
  EXPECT_EQ(read_file(image_ + "/srv/seed/new"), "") << "an image never changes";
  ASSERT_TRUE(supervisors_->send(task, {.kind = taskdir::CommandKind::signal, .container = 1, .signal = SIGKILL}));
  EXPECT_TRUE(await_gone(task));
  EXPECT_FALSE(std::filesystem::exists(supervisors_->directory(task) + "/volumes"));
  EXPECT_TRUE(std::filesystem::exists(image_ + "/srv/seed/file"));
}

TEST_F(SuperviseContainerHostTest, TheInitProcessReapsOrphansAndForwardsSignals) {
  Container one =
      container("main",
                "trap 'echo told; exit 5' TERM; (sleep 0.01 & ) ; echo me $$; cat /proc/1/cmdline | head -c 9; "
                "echo; while :; do sleep 0.05; done");
  one.spec.init_process = true;
  const std::string task = run({one});
  ASSERT_TRUE(wait([&] { return lines(task, "main").size() >= 2; }));
  EXPECT_THAT(lines(task, "main"), ElementsAre("me 2", "/dev/init"));
  ASSERT_TRUE(wait([&] {
    const std::string text = execute(task, {"/bin/sh", "-c", "ps | grep -c '[Zz]ombie\\|\\[sleep\\]'"}, 5000).output;
    return text == "0\n";
  }));
  stop(task);
  EXPECT_EQ(await(task, FactKind::container_exited).exit_code, 5u);
  EXPECT_TRUE(await_gone(task));
}

TEST_F(SuperviseContainerHostTest, HealthCommandsTellTheirCodeAndOutput) {
  Container one = idle("main");
  one.spec.environment = {{"COLOUR", "blue"}};
  const std::string task = run({one});
  await(task, FactKind::container_started);
  taskdir::Reply reply = execute(task, {"/bin/sh", "-c", "echo $COLOUR; hostname; exit 3"}, 5000);
  EXPECT_EQ(reply.exit_code, 3u);
  EXPECT_EQ(reply.output, "blue\ntesthost\n");
  reply = execute(task, {"/bin/sh", "-c", "seq 1 10000"}, 5000);
  EXPECT_EQ(reply.exit_code, 0u);
  EXPECT_EQ(reply.output.size(), taskdir::kExecuteOutputBytesMax);
  reply = execute(task, {"/no/such"}, 5000);
  EXPECT_NE(reply.exit_code, 0u);
  reply = execute(task, {"/bin/sh", "-c", "echo begun; sleep 7777"}, 300);
  EXPECT_EQ(reply.exit_code, taskdir::kExecuteTimedOut);
  EXPECT_EQ(reply.output, "begun\n");
  ASSERT_TRUE(wait([&] {
    return execute(task, {"/bin/sh", "-c", "ps | grep '[s]leep 7777'"}, 5000).output.empty();
  })) << "the command that ran out of time still runs";
  stop(task);
  EXPECT_TRUE(await_gone(task));
}

}  // namespace
}  // namespace berth::host_test
