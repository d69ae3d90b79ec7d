// Layers unpacked by the real berth-unpack, images copied by the real skopeo, into a directory of the test's own.
#include <archive.h>
#include <archive_entry.h>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nettle/sha2.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>
#include <thread>

#include "agent/images/image_store.h"
#include "agent/images/oci.h"
#include "agent/images/program.h"
#include "agent/images/unpacker.h"
#include "base/fd.h"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

std::string sha256(const std::string& bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data()));
  uint8_t digest[SHA256_DIGEST_SIZE];
  sha256_digest(&context, sizeof digest, digest);
  std::string text = "sha256:";
  for (uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

// Writes a tar entry by entry; nothing is checked, so that it can lie.
class Tar {
 public:
  Tar() : archive_(archive_write_new()) {
    archive_write_set_format_pax_restricted(archive_);
    archive_write_open(
        archive_, this, nullptr,
        [](archive*, void* self, const void* data, size_t size) -> la_ssize_t {
          static_cast<Tar*>(self)->bytes_.append(static_cast<const char*>(data), size);
          return static_cast<la_ssize_t>(size);
        },
        nullptr);
  }
  Tar& file(const std::string& path, const std::string& content, mode_t mode = 0644,
            const std::vector<std::pair<std::string, std::string>>& xattrs = {}) {
    return add(path, AE_IFREG, mode, content, [&](archive_entry* entry) {
      for (const auto& [name, value] : xattrs) {
        archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
      }
    });
  }
  Tar& directory(const std::string& path, mode_t mode = 0755) { return add(path, AE_IFDIR, mode, "", {}); }
  Tar& symlink(const std::string& path, const std::string& target) {
    return add(path, AE_IFLNK, 0777, "",
               [&](archive_entry* entry) { archive_entry_set_symlink(entry, target.c_str()); });
  }
  Tar& hardlink(const std::string& path, const std::string& target) {
    return add(path, AE_IFREG, 0644, "",
               [&](archive_entry* entry) { archive_entry_set_hardlink(entry, target.c_str()); });
  }
  Tar& device(const std::string& path, int type, dev_t number) {
    return add(path, type, 0666, "", [&](archive_entry* entry) { archive_entry_set_rdev(entry, number); });
  }
  std::string bytes() {
    if (archive_) archive_write_close(archive_), archive_write_free(archive_);
    archive_ = nullptr;
    return bytes_;
  }

 private:
  Tar& add(const std::string& path, int type, mode_t mode, const std::string& content,
           const std::function<void(archive_entry*)>& more) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_filetype(entry, static_cast<unsigned>(type));
    archive_entry_set_perm(entry, mode);
    archive_entry_set_uid(entry, 1234);
    archive_entry_set_gid(entry, 567);
    archive_entry_set_mtime(entry, 1'600'000'000, 0);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    if (more) more(entry);
    archive_write_header(archive_, entry);
    if (!content.empty()) archive_write_data(archive_, content.data(), content.size());
    archive_entry_free(entry);
    return *this;
  }
  archive* archive_;
  std::string bytes_;
};

class ImagesHost : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: layers hold other users' files and trusted attributes";
    char directory[] = "/tmp/berth-images-test-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    directory_ = directory;
    fs::create_directories(layers());
    fs::create_directories(state());
  }
  void TearDown() override {
    std::error_code error;
    if (!directory_.empty()) fs::remove_all(directory_, error);
  }

  std::string layers() const { return directory_ + "/layers"; }
  std::string state() const { return directory_ + "/state"; }
  static std::string program() { return BERTH_UNPACK_PROGRAM; }

  std::string put(const std::string& name, const std::string& bytes) {
    fs::create_directories(fs::path(directory_ + "/" + name).parent_path());
    std::ofstream(directory_ + "/" + name, std::ios::binary) << bytes;
    return directory_ + "/" + name;
  }
  // The directory of the unpacked layer, or why there is none.
  Result<std::string> unpack(const std::string& tar) {
    const Unpacker unpacker(layers(), program());
    const std::string id = sha256(tar);
    if (auto done = unpacker.unpack(id, put("layer.tar", tar)); !done) return tl::unexpected(done.error());
    return unpacker.directory(id);
  }
  // An OCI layout with one image under the tag "t".
  std::string oci(const std::string& name, const std::vector<std::string>& tars, const std::string& config = "{}") {
    const std::string base = directory_ + "/" + name;
    const auto blob = [&](const std::string& bytes) {
      const std::string digest = sha256(bytes);
      put(name + "/blobs/sha256/" + digest.substr(7), bytes);
      return fmt::format(R"("digest":"{}","size":{})", digest, bytes.size());
    };
    std::string layers_text, ids;
    for (const std::string& tar : tars) {
      layers_text += (layers_text.empty() ? "" : ",") +
                     fmt::format(R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar",{}}})", blob(tar));
      ids += (ids.empty() ? "\"" : ",\"") + sha256(tar) + "\"";
    }
    const std::string configuration = fmt::format(
        R"({{"architecture":"amd64","os":"linux","config":{},"rootfs":{{"type":"layers","diff_ids":[{}]}}}})", config,
        ids);
    const std::string manifest = fmt::format(
        R"({{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",{}}},"layers":[{}]}})",
        blob(configuration), layers_text);
    put(name + "/index.json",
        fmt::format(
            R"({{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json",{},"annotations":{{"org.opencontainers.image.ref.name":"t"}}}}]}})",
            blob(manifest)));
    put(name + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
    return base;
  }
  std::unique_ptr<ImageStore> store(std::set<std::string>* in_use = nullptr) {
    ImageStoreOptions options{state(), program()};
    if (in_use) options.layers_in_use = [in_use] { return *in_use; };
    auto opened = ImageStore::open(std::move(options));
    EXPECT_TRUE(opened) << opened.error().context;
    return std::move(*opened);
  }
  static std::string text(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  size_t files_in(const std::string& path) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }

  std::string directory_;
};

#define ASSERT_OK(expression)                        \
  do {                                               \
    const auto& outcome = (expression);              \
    ASSERT_TRUE(outcome) << outcome.error().context; \
  } while (false)

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

TEST_F(ImagesHost, OwnersModesTimesAndCapabilitiesAreKept) {
  const std::string capability("\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", 20);
  const std::string tar =
      Tar()
          .directory("d", 01777)
          .file("d/su", "s", 04755)
          .file("d/ping", "p", 0755,
                {{"security.capability", capability}, {"trusted.overlay.opaque", "y"}, {"user.k", "v"}})
          .hardlink("d/su2", "d/su")
          .symlink("d/link", "/absolute/target")
          .bytes();
  auto layer = unpack(tar);
  ASSERT_OK(layer);
  struct stat info {};
  ASSERT_EQ(::lstat((*layer + "/d/su").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 04755u);
  EXPECT_EQ(info.st_uid, 1234u);
  EXPECT_EQ(info.st_gid, 567u);
  EXPECT_EQ(info.st_mtime, 1'600'000'000);
  EXPECT_EQ(info.st_nlink, 2u);
  ASSERT_EQ(::lstat((*layer + "/d").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 01777u);
  EXPECT_EQ(info.st_mtime, 1'600'000'000) << "after its files were written";
  EXPECT_EQ(fs::read_symlink(*layer + "/d/link"), "/absolute/target");
  char value[64];
  EXPECT_EQ(::getxattr((*layer + "/d/ping").c_str(), "security.capability", value, sizeof value), 20);
  EXPECT_EQ(::getxattr((*layer + "/d/ping").c_str(), "user.k", value, sizeof value), 1);
  EXPECT_EQ(::getxattr((*layer + "/d/ping").c_str(), "trusted.overlay.opaque", value, sizeof value), -1);
}

TEST_F(ImagesHost, WhiteoutsHideInARealOverlay) {
  auto lower = unpack(Tar().file("a/hidden", "1").file("a/seen", "1").file("b/old", "1").file("c/old", "1").bytes());
  auto upper = unpack(Tar()
                          .file("a/.wh.hidden", "")
                          .file("b/.wh..wh..opq", "")
                          .file("b/new", "2")
                          .file(".wh.c", "")  // and then again a directory of that name
                          .file("c/new", "2")
                          .file("a/.wh.own", "")
                          .file("a/own", "2")
                          .file("a/.wh..wh.plnk", "")
                          .bytes());
  ASSERT_OK(lower);
  ASSERT_OK(upper);
  struct stat info {};
  ASSERT_EQ(::lstat((*upper + "/a/hidden").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0));
  fs::create_directory(directory_ + "/merged");
  std::set<std::string> seen;
  std::thread([&] {
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const std::string lowers = "lowerdir=" + *upper + ":" + *lower;
    ASSERT_EQ(::mount("overlay", (directory_ + "/merged").c_str(), "overlay", MS_RDONLY, lowers.c_str()), 0) << errno;
    for (const auto& entry : fs::recursive_directory_iterator(directory_ + "/merged")) {
      if (!entry.is_directory()) seen.insert(fs::relative(entry.path(), directory_ + "/merged"));
    }
  }).join();
  EXPECT_THAT(seen, ::testing::ElementsAre("a/own", "a/seen", "b/new", "c/new"));
}

TEST_F(ImagesHost, AnAbsolutePathIsTheLayersOwn) {
  auto layer = unpack(Tar().file("/abs/./x//y", "1").directory("./").bytes());
  ASSERT_OK(layer);
  EXPECT_EQ(text(*layer + "/abs/x/y"), "1");
}

TEST_F(ImagesHost, NoNameAndNoLinkLeadsOutOfALayer) {
  const std::string victim = put("victim", "untouched");
  const std::string outside = directory_ + "/outside";
  fs::create_directory(outside);
  const std::pair<const char*, std::string> hostile[] = {
      {"climbing path", Tar().file("../evil", "x").bytes()},
      {"climbing in the middle", Tar().file("a/../../evil", "x").bytes()},
      {"climbing hard link", Tar().hardlink("mine", "../../victim").bytes()},
      {"absolute hard link", Tar().hardlink("mine", victim).bytes()},
      {"through an absolute link", Tar().symlink("a", outside).file("a/evil", "x").bytes()},
      {"through a climbing link", Tar().symlink("a", "../../../../../../../.." + outside).file("a/evil", "x").bytes()},
      {"link, then file over it", Tar().symlink("f", victim).file("f", "x").bytes()},
      {"hard link to a link", Tar().symlink("l", victim).hardlink("m", "l").file("m", "x").bytes()},
      {"whiteout of the parent", Tar().file("a/.wh...", "").bytes()},
      {"whiteout of nothing", Tar().file("a/.wh.", "").bytes()},
      {"directory and file", Tar().directory("d").file("d/x", "1").file("d", "x").bytes()},
      {"long name", Tar().file(std::string(300, 'n'), "x").bytes()},
      {"root as a file", Tar().file("./", "x").bytes()},
  };
  for (const auto& [what, tar] : hostile) {
    const auto layer = unpack(tar);
    EXPECT_EQ(text(victim), "untouched") << what;
    EXPECT_TRUE(fs::is_empty(outside)) << what;
    EXPECT_FALSE(fs::exists(directory_ + "/evil") || fs::exists(layers() + "/evil")) << what;
    for (const auto& entry : fs::directory_iterator(layers())) {
      EXPECT_NE(entry.path().filename().string()[0], '.') << what << " left " << entry.path();
    }
  }
  EXPECT_FALSE(unpack(hostile[0].second));
  EXPECT_FALSE(unpack(hostile[2].second));
  EXPECT_FALSE(unpack(hostile[4].second));
  auto replaced = unpack(hostile[6].second);
  ASSERT_OK(replaced);
  EXPECT_TRUE(fs::is_regular_file(fs::symlink_status(*replaced + "/f")))
      << "a file takes a link's place, it does not follow it";
}

TEST_F(ImagesHost, DevicesAreLeftOut) {
  auto layer = unpack(Tar()
                          .device("dev/sda", AE_IFBLK, makedev(8, 0))
                          .device("dev/null", AE_IFCHR, makedev(1, 3))
                          .device("smuggled-whiteout", AE_IFCHR, makedev(0, 0))
                          .file("kept", "1")
                          .bytes());
  ASSERT_OK(layer);
  EXPECT_FALSE(fs::exists(fs::symlink_status(*layer + "/dev/sda")));
  EXPECT_FALSE(fs::exists(fs::symlink_status(*layer + "/dev/null")));
  EXPECT_FALSE(fs::exists(fs::symlink_status(*layer + "/smuggled-whiteout")));
  EXPECT_EQ(text(*layer + "/kept"), "1");
}

TEST_F(ImagesHost, ABombEndsAtTheLimit) {
  // 64 MiB of zeros in some kilobytes.
  const std::string tar = Tar().file("zeros", std::string(64 << 20, '\0')).bytes();
  const std::string plain = put("bomb.tar", tar);
  ASSERT_EQ(run_program({.argv = {"gzip", "-k", plain}})->status, 0);
  fs::create_directory(directory_ + "/target");
  const Fd target(::open((directory_ + "/target").c_str(), O_RDONLY | O_DIRECTORY));
  const Fd blob(::open((plain + ".gz").c_str(), O_RDONLY));
  auto ran =
      run_program({.argv = {program(), sha256(tar), "1048576"}, .stdin_fd = blob.get(), .inherited_fd = target.get()});
  ASSERT_OK(ran);
  EXPECT_EQ(ran->status, 1);
  EXPECT_THAT(ran->errors, HasSubstr("larger than"));
  struct stat info {};
  if (::stat((directory_ + "/target/zeros").c_str(), &info) == 0) {
    EXPECT_LE(info.st_blocks * 512, 2 << 20);
  }
}

TEST_F(ImagesHost, CompressedLayersAreReadAndDamagedOnesRefused) {
  const std::string tar = Tar().file("f", std::string(100'000, 'x')).bytes();
  const Unpacker unpacker(layers(), program());
  for (const auto& [tool, suffix] : {std::pair("gzip", ".gz"), std::pair("zstd", ".zst")}) {
    const std::string plain = put(std::string("l") + suffix + ".tar", tar);
    auto compressed = run_program({.argv = {tool, "-q", plain, "-k"}});
    if (!compressed) continue;  // zstd the program is not everywhere; the library is what is tested
    fs::remove_all(unpacker.directory(sha256(tar)));
    ASSERT_OK(unpacker.unpack(sha256(tar), plain + suffix));
    EXPECT_EQ(text(unpacker.directory(sha256(tar)) + "/f").size(), 100'000u);
    fs::remove_all(unpacker.directory(sha256(tar)));
    fs::resize_file(plain + suffix, fs::file_size(plain + suffix) - 20);
    EXPECT_FALSE(unpacker.unpack(sha256(tar), plain + suffix)) << suffix << " cut short";
  }
  const std::string other = "sha256:" + std::string(64, '1');
  const auto lie = unpacker.unpack(other, put("lie.tar", tar));
  ASSERT_FALSE(lie);
  EXPECT_THAT(lie.error().context, HasSubstr("not " + other));
  EXPECT_FALSE(unpack(""));
  EXPECT_FALSE(unpack("this is no archive"));
  EXPECT_EQ(files_in(layers()), 0u);
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
  for (const char* source :
       {"docker-archive:/does/not/exist", "oci:/does/not/exist", "docker://nginx", "/etc/passwd", "docker-archive:-"}) {
    EXPECT_FALSE(images->load(source, "x")) << source;
  }
  EXPECT_FALSE(images->load("docker-archive:" + archive, "UPPER"));
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

TEST_F(ImagesHost, ALostLayerIsUnpackedAgainAtStart) {
  auto images = store();
  ASSERT_OK(images->load("oci:" + oci("one", {Tar().file("f", "1").bytes()}) + ":t", "app"));
  fs::remove_all(images->resolve("app")->layers[0]);
  images = store();
  EXPECT_EQ(text(images->resolve("app")->layers[0] + "/f"), "1");
}

// A registry of one image, as much of the distribution specification as a pull needs.
class Registry {
 public:
  // `failures`: how many requests after the first, which only asks whether it is there, it answers with 503.
  explicit Registry(std::string layout, bool silent = false, int failures = 0, bool listening = true)
      : layout_(std::move(layout)), silent_(silent), failures_(failures) {
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (listening) listen();
  }
  void listen() {
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    if (!silent_) thread_ = std::thread([this] { serve(); });
  }
  ~Registry() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }
  int requests() const { return requests_; }
  std::string name(const std::string& rest) const { return fmt::format("127.0.0.1:{}/{}", port_, rest); }

 private:
  static std::string file(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }
  void serve() {
    while (true) {
      const Fd connection(::accept(listener_.get(), nullptr, nullptr));
      if (!connection) return;
      std::string request;
      char buffer[4096];
      ssize_t size;
      // 0x16 begins a TLS handshake: skopeo tries that first and goes on in plain HTTP when the other side hangs up.
      while (request.find("\r\n\r\n") == request.npos && !request.starts_with('\x16') &&
             (size = ::read(connection.get(), buffer, sizeof buffer)) > 0) {
        request.append(buffer, static_cast<size_t>(size));
      }
      if (request.starts_with('\x16')) continue;
      const int number = ++requests_;
      const std::string answer =
          number > 1 && number <= 1 + failures_
              ? "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
              : reply(request);
      (void)!::write(connection.get(), answer.data(), answer.size());
    }
  }
  std::string reply(const std::string& request) const {
    const size_t begin = request.find(' ') + 1;
    const std::string path = request.substr(begin, request.find(' ', begin) - begin);
    std::string body, type = "application/octet-stream";
    bool found = path == "/v2/";
    const std::string blobs = layout_ + "/blobs/sha256/";
    if (path == "/v2/team/app/manifests/1") {
      body = file(blobs + parse_index(file(layout_ + "/index.json"))->front().digest.substr(7));
      type = "application/vnd.oci.image.manifest.v1+json";
      found = true;
    } else if (path.starts_with("/v2/team/app/blobs/sha256:")) {
      body = file(blobs + path.substr(26));
      found = !body.empty();
    }
    return fmt::format("HTTP/1.1 {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
                       found ? "200 OK" : "404 Not Found", type, body.size(), request.starts_with("HEAD") ? "" : body);
  }
  const std::string layout_;
  const bool silent_;
  const int failures_;
  std::atomic<int> requests_ = 0;
  Fd listener_;
  int port_ = 0;
  std::thread thread_;
};

TEST_F(ImagesHost, AnImageIsPulledWhereItIsNotHere) {
  const Registry registry(oci("remote", {Tar().file("f", "1").bytes()}));
  auto images = store();
  const auto image = images->obtain(registry.name("team/app:1"));
  ASSERT_OK(image);
  EXPECT_EQ(text(image->layers[0] + "/f"), "1");
  const auto by_digest = images->obtain(registry.name("team/app@" + image->digest));
  ASSERT_OK(by_digest);
  EXPECT_EQ(by_digest->layers, image->layers);
  const auto missing = images->obtain(registry.name("team/app:2"));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().context,
              ::testing::StartsWith("CannotPullContainerError: pull image manifest has been retried 0 time(s): "
                                    "failed to resolve ref " +
                                    registry.name("team/app:2")));
}

TEST_F(ImagesHost, ARegistryThatFailsForAMomentIsAskedAgain) {
  const std::string layout = oci("remote", {Tar().file("f", "1").bytes()});
  const Registry registry(layout, false, 2);
  auto images = store();
  ASSERT_OK(images->obtain(registry.name("team/app:1")));
  EXPECT_GT(registry.requests(), 3);
  const Registry broken(layout, false, 1'000'000);
  const auto missing = images->obtain(broken.name("team/app:1"));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().context, HasSubstr("503"));
  // skopeo asks /v2/ at least once in every try.
  int retries = 0;
  ASSERT_EQ(std::sscanf(missing.error().context.c_str(),
                        "CannotPullContainerError: pull image manifest has been retried %d", &retries),
            1);
  EXPECT_GE(retries, 1);
  EXPECT_LE(retries, 5);
  EXPECT_GE(broken.requests(), 1 + 1 + retries);
}

TEST_F(ImagesHost, ARegistryThatIsRestartedIsWaitedFor) {
  Registry registry(oci("remote", {Tar().file("f", "1").bytes()}), false, 0, false);
  auto images = store();
  Result<ResolvedImage> image = fail("");
  std::thread puller([&] { image = images->obtain(registry.name("team/app:1")); });
  // Refused until then; no event tells that the first try was made, and a later start only makes the test easier.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  registry.listen();
  puller.join();
  ASSERT_OK(image);
}

TEST_F(ImagesHost, ARegistryThatDoesNotAnswerIsToldWithinTwoSeconds) {
  auto images = store();
  const Registry silent("", true);
  for (const auto& [name, retries] : {std::pair<std::string, std::string>{silent.name("team/app:1"), "0"},
                                      {"127.0.0.1:9/app", "5"},
                                      {"does-not-exist.invalid/app", ""}}) {
    const auto start = std::chrono::steady_clock::now();
    const auto missing = images->obtain(name);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << name;
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().context,
                ::testing::StartsWith("CannotPullContainerError: pull image manifest has been retried " + retries))
        << name;
  }
}

TEST_F(ImagesHost, TheUnpackerIsConfined) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "the sanitizers make system calls of their own: that build limits none";
#endif
  // The rules, read from the kernel while a layer is being read from a pipe that nobody fills.
  int pipe_fds[2];
  ASSERT_EQ(::pipe2(pipe_fds, O_CLOEXEC), 0);
  Fd reader(pipe_fds[0]), writer(pipe_fds[1]);
  fs::create_directory(directory_ + "/target");
  const Fd target(::open((directory_ + "/target").c_str(), O_RDONLY | O_DIRECTORY));
  const std::string start = Tar().file("f", std::string(100, 'x')).bytes().substr(0, 600);
  std::thread run([&] {
    (void)run_program({.argv = {program(), "sha256:0"}, .stdin_fd = reader.get(), .inherited_fd = target.get()});
  });
  ASSERT_EQ(::write(writer.get(), start.data(), start.size()), 600);
  std::string status;
  for (int tries = 0; tries < 500 && status.find("Seccomp:\t2") == status.npos; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    for (const auto& entry : fs::directory_iterator("/proc")) {
      const std::string seen = text(entry.path().string() + "/status");
      if (seen.starts_with("Name:\tberth-unpack") && seen.find(fmt::format("PPid:\t{}\n", ::getpid())) != seen.npos) {
        status = seen;
        std::error_code error;
        EXPECT_TRUE(status.find("Seccomp:\t2") == status.npos ||
                    fs::read_symlink(entry.path() / "root", error) == directory_ + "/target");
      }
    }
  }
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, HasSubstr("CapEff:\t000000008820001b"));
  writer.reset();
  run.join();
}

}  // namespace
}  // namespace berth::images
