// Images loaded, found, replaced and removed.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <thread>

#include "agent/images/image_store.h"
#include "agent/images/program.h"
#include "base/fd.h"
#include "images_world.h"

namespace berth::images {
namespace {

TEST_F(ImagesHost, AnOciDirectoryIsLoadedAndResolved) {
  const std::string lower = Tar().directory("bin").file("bin/sh", "#!", 04755).file("etc/old", "old").bytes();
  const std::string upper = Tar().file("etc/.wh.old", "").file("etc/new", "new").bytes();
  const std::string layout = oci("image", {lower, upper}, R"({"Env":["A=b"],"Cmd":["/bin/sh"],"StopSignal":"SIGINT"})");
  auto images = store();
  auto loaded = images->load("oci:" + layout + ":t", "jitsi/web:stable");
  ASSERT_OK(loaded);
  EXPECT_EQ(loaded->name, "docker.io/jitsi/web:stable");
  EXPECT_EQ(loaded->layers, 2u);
  auto image = images->resolve("jitsi/web:stable");
  ASSERT_TRUE(image);
  EXPECT_EQ(image->digest, loaded->digest);
  EXPECT_EQ(image->config.stop_signal, "SIGINT");
  ASSERT_EQ(image->layers.size(), 2u);
  EXPECT_EQ(text(image->layers[0] + "/etc/new"), "new") << "the topmost layer comes first";
  EXPECT_EQ(text(image->layers[1] + "/etc/old"), "old");
  EXPECT_EQ(images->resolve("jitsi/web@" + image->digest)->layers, image->layers);
  EXPECT_FALSE(images->resolve("jitsi/web:other"));
  EXPECT_FALSE(images->resolve("jitsi/web@sha256:" + std::string(64, '0')));

  // What a restart finds is the same.
  images = store();
  EXPECT_EQ(images->resolve("docker.io/jitsi/web:stable")->config, image->config);
  ASSERT_EQ(images->list().size(), 1u);
}

TEST_F(ImagesHost, ALayerThatStandsInAnImageTwiceIsStackedOnce) {
  const std::string empty = Tar().bytes(), base = Tar().file("f", "base").bytes(), top = Tar().file("f", "top").bytes();
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("image", {base, empty, top, empty, base}, "{}") + ":t", "twice"));
  const auto layers = images->resolve("twice")->layers;
  ASSERT_EQ(layers.size(), 3u) << "overlayfs takes no directory twice";
  EXPECT_EQ(text(layers[0] + "/f"), "base") << "the topmost place counts";
  EXPECT_EQ(text(layers[2] + "/f"), "top");
}

TEST_F(ImagesHost, AnImageMayHaveNoLayers) {
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("image", {}, R"({"Cmd":["/f"]})") + ":t", "nothing"));
  const auto layers = images->resolve("nothing")->layers;
  ASSERT_EQ(layers.size(), 1u) << "overlayfs wants one";
  EXPECT_EQ(files_in(layers[0]), 0u);
  ASSERT_OK(images->collect_garbage());
  images = store();
  EXPECT_TRUE(fs::exists(images->resolve("nothing")->layers[0]));
}

TEST_F(ImagesHost, AHardLinkMayLeadToAFileOfALowerLayer) {
  const std::string bottom = Tar()
                                 .directory("bin")
                                 .file("bin/tool", "tool", 04755)
                                 .symlink("bin/alias", "tool")
                                 .directory("etc", 0700)
                                 .bytes();
  const std::string middle = Tar().hardlink("etc/a", "bin/tool").hardlink("etc/hidden", "bin/tool").bytes();
  const std::string top =
      Tar().hardlink("etc/b", "etc/a").hardlink("etc/c", "bin/alias").file("etc/hidden", "its own").bytes();
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("image", {bottom, middle, top}) + ":t", "linked"));
  auto layers = images->resolve("linked")->layers;
  ASSERT_EQ(layers.size(), 4u);
  struct stat status {};
  for (const char* name : {"/etc/a", "/etc/b"}) {
    EXPECT_EQ(text(layers[0] + name), "tool");
    ASSERT_EQ(::stat((layers[0] + name).c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 04755u);
    EXPECT_EQ(status.st_uid, 1234u);
    EXPECT_EQ(status.st_mtim.tv_sec, 1'600'000'000);
  }
  EXPECT_EQ(fs::read_symlink(layers[0] + "/etc/c"), "tool");
  EXPECT_FALSE(fs::exists(layers[0] + "/etc/hidden")) << "a layer above has another file there";
  ASSERT_EQ(::stat((layers[0] + "/etc").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u) << "it covers the directory of the layers below";
  images = store();
  EXPECT_EQ(images->resolve("linked")->layers, layers);

  const auto nowhere =
      images->load("oci:" + oci("other", {bottom, Tar().hardlink("x", "bin/none").bytes()}) + ":t", "no");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().context, "link x to bin/none: no layer has that");
}

TEST_F(ImagesHost, VolumesThatTheLayersDoNotHaveAreKnown) {
  const std::string tar = Tar().directory("there").symlink("var/run", "/run").directory("run/x").bytes();
  const std::string config = R"({"Volumes":{"/there":{},"/data":{},"/var/run/x":{}}})";
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("image", {tar}, config) + ":t", "declaring"));
  EXPECT_EQ(images->resolve("declaring")->volumes_missing, std::vector<std::string>{"/data"});
}

TEST_F(ImagesHost, DockerArchivesAreLoadedFromAFileAndAStream) {
  const std::string layout = oci("image", {Tar().file("f", "1").bytes()}, R"({"Cmd":["/f"]})");
  const std::string archive = directory_ + "/saved.tar";
  ASSERT_EQ(run_program({.argv = {"skopeo", "--insecure-policy", "copy", "-q", "oci:" + layout + ":t",
                                  "docker-archive:" + archive + ":x/y:z"}})
                ->status,
            0);
  auto images = store();
  ASSERT_OK(images->load("docker-archive:" + archive, "from-file"));
  const Fd stream(::open(archive.c_str(), O_RDONLY));
  ASSERT_OK(images->load("docker-archive:-", "from-stream", stream.get()));
  EXPECT_EQ(images->resolve("from-file")->config.cmd, std::vector<std::string>{"/f"});
  EXPECT_EQ(images->resolve("from-stream")->layers, images->resolve("from-file")->layers);
  // As `docker save | gzip` makes them, and as they come through a pipe.
  ASSERT_EQ(run_program({.argv = {"gzip", "-k", archive}})->status, 0);
  ASSERT_OK(images->load("docker-archive:" + archive + ".gz", "compressed"));
  ASSERT_OK(images->load("docker-archive:" + archive + ".gz:x/y:z", "compressed-and-named"));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  const Fd from(ends[0]);
  std::thread writer([&, to = Fd(ends[1])] {
    const std::string bytes = text(archive);
    EXPECT_EQ(::write(to.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  });
  const auto piped = images->load("docker-archive:-", "piped", from.get());
  writer.join();
  ASSERT_OK(piped);
  for (const char* name : {"compressed", "compressed-and-named", "piped"})
    EXPECT_EQ(images->resolve(name)->layers, images->resolve("from-file")->layers) << name;
  for (const char* source :
       {"docker-archive:/does/not/exist", "oci:/does/not/exist", "docker://nginx", "/etc/passwd", "docker-archive:-"}) {
    EXPECT_FALSE(images->load(source, "x")) << source;
  }
  EXPECT_FALSE(images->load("docker-archive:" + archive, "UPPER"));
  // One of several images.
  ASSERT_EQ(run_program(
                {.argv = {"sh", "-c",
                          "cd \"$1\" && mkdir a && cd a && tar xf ../saved.tar && "
                          "sed -i 's|^.\\(.*\\).$|[\\1,\\1]|; s|x/y:z|x/y:other|' manifest.json && tar cf ../two.tar *",
                          "sh", directory_}})
                ->status,
            0);
  EXPECT_EQ(images->load("docker-archive:" + directory_ + "/two.tar", "two").error().context,
            "the archive has several images: name one of them, as in docker-archive:FILE:nginx:latest");
  ASSERT_OK(images->load("docker-archive:" + directory_ + "/two.tar:x/y:z", "two"));
  EXPECT_EQ(files_in(state() + "/images/incoming"), 0u);
}

TEST_F(ImagesHost, ALayerAskedForByManyIsUnpackedOnce) {
  const std::string layout = oci("image", {Tar().file("f", std::string(1 << 20, 'x')).bytes()});
  const std::string log = directory_ + "/log";
  const std::string wrapper = put("wrapper", "#!/bin/sh\necho run >> " + log + "\nexec " + program() + " \"$@\"\n");
  ::chmod(wrapper.c_str(), 0755);
  auto images = *ImageStore::open({state(), wrapper});
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      const auto loaded = images->load("oci:" + layout + ":t", "name-" + std::to_string(i));
      EXPECT_TRUE(loaded) << loaded.error().context;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(text(log), "run\n");
  EXPECT_EQ(images->list().size(), 6u);
}

TEST_F(ImagesHost, RemovingTakesWhatNobodyNeeds) {
  const std::string shared = Tar().file("shared", "1").bytes();
  const std::string own = Tar().file("own", "1").bytes();
  std::set<std::string> in_use;
  auto images = store(&in_use);
  ASSERT_OK(images->load("oci:" + oci("one", {shared, own}) + ":t", "one"));
  ASSERT_OK(images->load("oci:" + oci("two", {shared}) + ":t", "two"));
  EXPECT_EQ(files_in(state() + "/images/layers"), 2u);
  std::optional<ResolvedImage> leased = images->resolve("one");
  const std::string own_layer = leased->layers[0];
  in_use = {leased->layers[0]};
  ASSERT_OK(images->remove("one"));
  EXPECT_FALSE(images->resolve("one"));
  EXPECT_FALSE(images->remove("one"));
  EXPECT_TRUE(fs::exists(own_layer)) << "a task's overlay is made of it";
  in_use.clear();
  ASSERT_OK(images->collect_garbage());
  EXPECT_TRUE(fs::exists(own_layer)) << "somebody has resolved it and is about to start a task";
  leased.reset();
  ASSERT_OK(images->collect_garbage());
  EXPECT_FALSE(fs::exists(own_layer));
  EXPECT_EQ(files_in(state() + "/images/layers"), 1u);
  EXPECT_EQ(files_in(state() + "/images/oci/blobs/sha256"), 3u) << "manifest, configuration, layer of the other";
  ASSERT_OK(images->remove("two"));
  EXPECT_EQ(files_in(state() + "/images/layers"), 0u);
  EXPECT_EQ(files_in(state() + "/images/oci/blobs/sha256"), 0u);
}

TEST_F(ImagesHost, StartingTasksForEverTakesNoMemory) {
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("one", {Tar().file("f", "1").bytes()}) + ":t", "app"));
  const auto before = ::mallinfo2().uordblks;
  for (int tasks = 0; tasks < 20'000; ++tasks) {
    const auto first = images->resolve("app");
    const auto beside_it = images->resolve("app");
    ASSERT_TRUE(first && beside_it);
  }
  EXPECT_LT(::mallinfo2().uordblks, before + 64 * 1024);
}

TEST_F(ImagesHost, ANameIsMovedToANewerImage) {
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("one", {Tar().file("f", "1").bytes()}) + ":t", "app"));
  const auto before = images->resolve("app");
  ASSERT_OK(images->load("oci:" + oci("two", {Tar().file("f", "2").bytes()}) + ":t", "app"));
  EXPECT_NE(images->resolve("app")->digest, before->digest);
  EXPECT_EQ(text(before->layers[0] + "/f"), "1") << "leased";
  EXPECT_EQ(images->list().size(), 1u);
}

TEST_F(ImagesHost, AKillAtAnyMomentLeavesAWholeImageOrNone) {
  const std::string layout = oci("image", {Tar().file("a", std::string(3 << 20, 'a')).bytes(),
                                           Tar().file("b", std::string(3 << 20, 'b')).bytes()});
  int whole = 0;
  for (int round = 0; round < 15; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::setpgid(0, 0);
      auto images = ImageStore::open({state(), program()});
      if (images && (*images)->load("oci:" + layout + ":t", "app")) ::_exit(0);
      ::_exit(1);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(4 + 9 * round));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    auto images = store();
    for (const char* part : {"/images/layers", "/images/incoming"}) {
      for (const auto& entry : fs::directory_iterator(state() + part))
        EXPECT_NE(entry.path().filename().string()[0], '.') << round;
    }
    if (const auto image = images->resolve("app")) {
      ++whole;
      EXPECT_EQ(text(image->layers[0] + "/b").size(), 3u << 20);
      EXPECT_EQ(text(image->layers[1] + "/a").size(), 3u << 20);
      ASSERT_OK(images->remove("app"));
    }
    ASSERT_OK(images->collect_garbage());
    EXPECT_EQ(files_in(state() + "/images/layers"), 0u) << round;
    EXPECT_EQ(files_in(state() + "/images/oci/blobs/sha256"), 0u) << round;
  }
  auto images = store();
  ASSERT_OK(images->load("oci:" + layout + ":t", "app"));
  EXPECT_LT(whole, 15) << "no kill came before the end: the rounds are too slow to mean anything";
}

TEST_F(ImagesHost, AnEndBreaksOffWhatIsCopiedAndUnpacked) {
  const std::string fifo = directory_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string unpacks = put("unpacks", "#!/bin/sh\necho > " + fifo + "\nsleep 60\n");
  ::chmod(unpacks.c_str(), 0755);
  const std::string layout = oci("image", {Tar().file("f", "1").bytes()});
  // Each opens the pipe at its other end once it is in the middle of its work: skopeo to read, the unpacker to write.
  for (const auto& [source, other_end] :
       {std::pair{"docker-archive:" + fifo, O_WRONLY}, {"oci:" + layout + ":t", O_RDONLY}}) {
    auto images = *ImageStore::open({state(), unpacks});
    Result<ImageSummary> loaded;
    std::thread loads([&, source = source] { loaded = images->load(source, "app"); });
    const Fd under_way(::open(fifo.c_str(), other_end));
    images->end();
    loads.join();
    ASSERT_FALSE(loaded);
    EXPECT_TRUE(loaded.error().context.ends_with("the daemon is ending")) << loaded.error().context;
    EXPECT_FALSE(images->load("oci:" + layout + ":t", "app"));
    EXPECT_FALSE(obtain(*images, "127.0.0.1:9/app"));
    EXPECT_EQ(files_in(state() + "/images/incoming"), 0u);
    EXPECT_EQ(files_in(state() + "/images/layers"), 0u);
  }
}

TEST_F(ImagesHost, ALostLayerIsUnpackedAgainAtStart) {
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("one", {Tar().file("f", "1").bytes()}) + ":t", "app"));
  fs::remove_all(images->resolve("app")->layers[0]);
  images = store();
  EXPECT_EQ(text(images->resolve("app")->layers[0] + "/f"), "1");
}

}  // namespace
}  // namespace berth::images
