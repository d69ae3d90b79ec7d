#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <tuple>

#include "agent/images/image_name.h"
#include "agent/images/layers.h"
#include "agent/images/layout.h"
#include "agent/images/oci.h"
#include "agent/images/program.h"
#include "agent/images/registry.h"
#include "agent/images/retries.h"
#include "agent/images/skopeo.h"
#include "base/fd.h"

namespace berth::images {
namespace {

namespace fs = std::filesystem;

const std::string kHex(64, 'a');
const std::string kDigest = "sha256:" + kHex;

TEST(ImageName, IsNormalisedAsDockers) {
  const std::pair<std::string, std::string> cases[] = {
      {"nginx", "docker.io/library/nginx:latest"},
      {"nginx:1.25", "docker.io/library/nginx:1.25"},
      {"jitsi/web:stable", "docker.io/jitsi/web:stable"},
      {"docker.io/nginx", "docker.io/library/nginx:latest"},
      {"index.docker.io/library/nginx", "docker.io/library/nginx:latest"},
      {"localhost/app", "localhost/app:latest"},
      {"localhost:5000/app:v1", "localhost:5000/app:v1"},
      {"registry.example:5000/a/b/c", "registry.example:5000/a/b/c:latest"},
      {"public.ecr.aws/docker/library/redis:7", "public.ecr.aws/docker/library/redis:7"},
      {"000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1", "000000000000.dkr.ecr.us-east-1.amazonaws.com/app:1"},
      {"nginx@" + kDigest, "docker.io/library/nginx@" + kDigest},
      {"a/b:t@" + kDigest, "docker.io/a/b:t@" + kDigest},
      {"a__b/c-d.e--f", "docker.io/a__b/c-d.e--f:latest"},
      {"Host/app", "Host/app:latest"},
  };
  for (const auto& [text, canonical] : cases) {
    const auto name = parse_image_name(text);
    ASSERT_TRUE(name) << text << ": " << name.error().context;
    EXPECT_EQ(name->canonical(), canonical) << text;
    EXPECT_EQ(parse_image_name(canonical), name) << text;
  }
}

TEST(ImageName, RefusesWhatDockerRefuses) {
  for (const std::string& text : {std::string(""),
                                  std::string(":tag"),
                                  std::string("Nginx"),
                                  std::string("a//b"),
                                  std::string("a/"),
                                  std::string("/a"),
                                  std::string("a:"),
                                  std::string("a:-x"),
                                  std::string("a@sha256:12"),
                                  std::string("a@md5:00"),
                                  std::string("a b"),
                                  std::string("../../etc"),
                                  std::string("a/../b"),
                                  std::string("a___b"),
                                  std::string("a..b"),
                                  std::string("host:99999/a"),
                                  std::string("-h.example/a"),
                                  kHex,
                                  std::string(300, 'a'),
                                  "a:" + std::string(129, 't'),
                                  std::string("a\0b", 3)}) {
    EXPECT_FALSE(parse_image_name(text)) << text;
  }
}

TEST(ImageName, AsksARegistryByDigestWhereThereIsOne) {
  EXPECT_EQ(parse_image_name("a/b:t@" + kDigest)->pull_reference(), "docker.io/a/b@" + kDigest);
  EXPECT_EQ(parse_image_name("a/b:t")->pull_reference(), "docker.io/a/b:t");
  EXPECT_EQ(registry_address(*parse_image_name("nginx")), (RegistryAddress{"registry-1.docker.io", 443}));
  EXPECT_EQ(registry_address(*parse_image_name("localhost:5000/a")), (RegistryAddress{"localhost", 5000}));
}

TEST(Oci, ReadsWhatStartsProcesses) {
  const auto read = parse_configuration(R"({"architecture":"amd64","os":"linux","config":{
    "User":"1000:1000","ExposedPorts":{"80/tcp":{}},"Env":["PATH=/bin","A=b=c"],"Entrypoint":["/entry"],"Cmd":["-x"],
    "Volumes":{"/data":{}},"WorkingDir":"/srv","Labels":{"k":"v"},"StopSignal":"SIGQUIT"},
    "rootfs":{"type":"layers","diff_ids":[")" +
                                        kDigest + R"("]}})");
  ASSERT_TRUE(read) << read.error().context;
  const ImageConfig& config = read->config;
  EXPECT_EQ(config.user, "1000:1000");
  EXPECT_EQ(config.env, (std::vector<std::string>{"PATH=/bin", "A=b=c"}));
  EXPECT_EQ(config.entrypoint, std::vector<std::string>{"/entry"});
  EXPECT_EQ(config.cmd, std::vector<std::string>{"-x"});
  EXPECT_EQ(config.working_dir, "/srv");
  EXPECT_EQ(config.stop_signal, "SIGQUIT");
  EXPECT_EQ(config.volumes, std::vector<std::string>{"/data"});
  EXPECT_EQ(config.exposed_ports, std::vector<std::string>{"80/tcp"});
  EXPECT_EQ(read->diff_ids, std::vector<std::string>{kDigest});
  EXPECT_TRUE(parse_configuration(R"({"config":{"Env":null,"Cmd":null}})"));
}

TEST(Oci, NeverTakesAFileNameFromADigest) {
  for (const char* digest : {"sha256:../../../etc/passwd", "sha512:00", "", "sha256:"}) {
    const std::string quoted = std::string("\"") + digest + "\"";
    EXPECT_FALSE(parse_index("{\"manifests\":[{\"digest\":" + quoted + ",\"size\":1}]}"));
    EXPECT_FALSE(
        parse_manifest("{\"schemaVersion\":2,\"config\":{\"digest\":" + quoted + ",\"size\":1},\"layers\":[]}"));
    EXPECT_FALSE(parse_configuration("{\"rootfs\":{\"diff_ids\":[" + quoted + "]}}"));
  }
}

TEST(Oci, BoundsWhatItReads) {
  std::string ids;
  for (size_t i = 0; i <= kLayersMax; ++i) ids += (i ? ",\"" : "\"") + kDigest + "\"";
  EXPECT_FALSE(parse_configuration("{\"rootfs\":{\"diff_ids\":[" + ids + "]}}"));
  std::string volumes;
  for (size_t i = 0; i <= kVolumesMax; ++i) volumes += fmt::format("{}\"/{}\":{{}}", i ? "," : "", i);
  EXPECT_EQ(parse_configuration("{\"config\":{\"Volumes\":{" + volumes + "}}}").error().context,
            "the image declares more volumes than 256");
  EXPECT_FALSE(parse_manifest(std::string(kManifestBytesMax + 1, ' ')));
  EXPECT_FALSE(parse_manifest("{\"schemaVersion\":1}"));
  EXPECT_FALSE(parse_index("["));
}

TEST(Oci, ReadsTheIndexItWrites) {
  const std::vector<Descriptor> manifests = {
      {"application/vnd.oci.image.manifest.v1+json", kDigest, 7, {{kRefName, "docker.io/a/b:c"}}}};
  const auto read = parse_index(render_index(manifests));
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 1u);
  EXPECT_EQ(read->front().digest, kDigest);
  EXPECT_EQ(read->front().size, 7);
  EXPECT_EQ(read->front().annotations.at(kRefName), "docker.io/a/b:c");
}

// Files of layers; a name's first part is its layer.
class LayerTree {
 public:
  LayerTree() { EXPECT_NE(mkdtemp(root_), nullptr); }
  ~LayerTree() {
    std::error_code ignored;
    fs::remove_all(root_, ignored);
  }
  std::string operator/(const std::string& name) const { return std::string(root_) + "/" + name; }
  void file(const std::string& name) const { std::ofstream(parent_of(name)) << name; }
  void link(const std::string& name, const std::string& target) const { fs::create_symlink(target, parent_of(name)); }
  void whiteout(const std::string& name) const { EXPECT_EQ(mknod(parent_of(name).c_str(), S_IFCHR, makedev(0, 0)), 0); }

 private:
  std::string parent_of(const std::string& name) const {
    const fs::path path = *this / name;
    fs::create_directories(path.parent_path());
    return path;
  }
  char root_[32] = "/tmp/berth-layers-XXXXXX";
};

TEST(StackedLayers, AreReadThroughLinksFromOneToAnother) {
  const LayerTree tree;
  tree.link("1/etc/passwd", "/nix/store/nss/etc/passwd");
  tree.link("1/etc/around", "around");
  tree.link("1/etc/out", "../../../../../../../../../../../../etc/group");
  tree.whiteout("1/etc/gone");
  tree.file("2/nix/store/nss/etc/passwd");
  tree.file("2/etc/group");
  tree.file("2/etc/gone");
  tree.file("3/etc/group");
  tree.file("3/etc/shadow/of/old");
  tree.file("2/etc/shadow");
  std::vector<std::string> layers = {tree / "1", tree / "2", tree / "3"};
  EXPECT_EQ(read_from_layers(layers, "etc/passwd"), "2/nix/store/nss/etc/passwd") << "a link may lead to another layer";
  EXPECT_EQ(read_from_layers(layers, "etc/group"), "2/etc/group") << "the topmost counts";
  EXPECT_EQ(read_from_layers(layers, "etc/out"), "2/etc/group") << "above the root is the root";
  for (const char* nothing : {"etc", "etc/around", "etc/gone", "etc/shadow/of/old", "etc/passwd/x", "nowhere"})
    EXPECT_EQ(read_from_layers(layers, nothing), "") << nothing;
  for (const char* missing : {"etc/gone", "etc/gone/x", "nix/store/nss/var/lib", "nix/../none", "new/"})
    EXPECT_TRUE(layers_lack(layers, missing)) << missing;
  tree.link("1/etc/dangling", "../nowhere");
  std::string long_way;
  for (int i = 0; i < 100; ++i) long_way += "../etc/";
  EXPECT_EQ(read_from_layers(layers, long_way.substr(0, 210) + "group"), "2/etc/group");
  EXPECT_EQ(read_from_layers(layers, long_way + "group"), "") << "no reader is kept busy by an image";
  for (const char* not_missing : {"etc", "/etc/", "nix/store/./nss/..", "/etc/passwd", "etc/out", "etc/passwd/x",
                                  "etc/around", "etc/dangling", "etc/dangling/x", "/"})
    EXPECT_FALSE(layers_lack(layers, not_missing)) << not_missing;
  tree.link("0/etc", "usr/etc");
  tree.file("0/usr/etc/group");
  layers.insert(layers.begin(), tree / "0");
  EXPECT_EQ(read_from_layers(layers, "etc/group"), "0/usr/etc/group");
  EXPECT_EQ(read_from_layers(layers, "etc/passwd"), "") << "a link hides the directories below it";
}

TEST(Layout, ADamagedListOfImagesIsNamedAndNotTakenForAnEmptyOne) {
  char directory[] = "/tmp/berth-layout-XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  const Layout layout(directory);
  EXPECT_TRUE(layout.read_index()->empty()) << "none yet";
  std::filesystem::create_directory(std::string(directory) + "/oci");
  std::ofstream(std::string(directory) + "/oci/index.json") << std::string(64, '\0');
  const auto damaged = layout.read_index();
  std::filesystem::remove_all(directory);
  ASSERT_FALSE(damaged);
  EXPECT_THAT(damaged.error().context, testing::StartsWith(std::string(directory) + "/oci/index.json"));
  EXPECT_THAT(damaged.error().context, testing::HasSubstr("move it away"));
}

TEST(Registry, TellsWhatFailedInEcsWords) {
  EXPECT_EQ(skopeo_message(
                "time=\"x\" level=fatal msg=\"initializing source docker://a: reading \\\"x\\\": manifest unknown\""),
            "initializing source docker://a: reading \"x\": manifest unknown");
  EXPECT_EQ(skopeo_message("plain"), "plain");
  const std::string debugging =
      "time=\"x\" level=debug msg=\"Too many requests to http://a/v2/: sleeping for 2.000000 seconds before next attempt\"\n";
  EXPECT_EQ(skopeo_message(debugging + "killed"), "killed");
  EXPECT_EQ(times_asked_again(debugging + debugging + "killed"), 2);
  EXPECT_EQ(cannot_pull(*parse_image_name("no/such"), 5, "not found"),
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref "
            "docker.io/no/such:latest: not found");
  EXPECT_EQ(cannot_pull(*parse_image_name("no/such"), 0,
                        "choosing an image from manifest list docker://no/such:latest: no image found in manifest list "
                        "for architecture amd64, variant \"\", OS linux"),
            "CannotPullContainerError: pull image manifest has been retried 0 time(s): image Manifest does not contain "
            "descriptor matching platform 'linux/amd64'");
}

TEST(Retries, AreFiveWithinTheWindowAndFewerWhereTriesTakeLong) {
  Retries quick(1500);
  int64_t elapsed_ms = 0;
  while (const auto wait_ms = quick.next_wait_ms(elapsed_ms)) elapsed_ms += *wait_ms;
  EXPECT_EQ(quick.count(), kPullRetriesMax);
  EXPECT_EQ(elapsed_ms, 1240);
  Retries slow(1500);
  elapsed_ms = 500;
  while (const auto wait_ms = slow.next_wait_ms(elapsed_ms)) elapsed_ms += *wait_ms + 500;
  EXPECT_EQ(slow.count(), 2);
  EXPECT_LT(elapsed_ms, 2000);
  Retries silent(1500);
  EXPECT_FALSE(silent.next_wait_ms(1500));
  EXPECT_EQ(silent.count(), 0);
}

TEST(Retries, AreForWhatMayPass) {
  for (const char* cause :
       {"dial tcp 127.0.0.1:9: Connection refused", "lookup r.example: Temporary failure in name resolution",
        "dial tcp 192.0.2.1:443: i/o timeout", "received unexpected HTTP status: 503 Service Unavailable",
        "invalid status code from registry 502 (Bad Gateway)", "Get \"https://r.example/v2/\": EOF",
        "reading blob sha256:0: unexpected EOF"}) {
    EXPECT_TRUE(may_pass(cause)) << cause;
  }
  for (const char* cause : {"lookup r.example: no such host", "reading manifest 2 in r.example/app: manifest unknown",
                            "requested access to the resource is denied", "copying the image took longer than 1800 s",
                            "invalid status code from registry 404 (Not Found)", "no space left on device"}) {
    EXPECT_FALSE(may_pass(cause)) << cause;
  }
}

TEST(Program, EndsWithItsChildrenWhenItIsCancelled) {
  const Fd cancelled(::eventfd(1, EFD_CLOEXEC));
  const auto ran = run_program({.argv = {"sh", "-c", "sleep 60 & wait"}, .cancel_fd = cancelled.get()});
  ASSERT_TRUE(ran) << ran.error().context;
  EXPECT_TRUE(ran->cancelled);
  EXPECT_EQ(ran->status, 128 + SIGKILL);
}

TEST(Registry, SaysWhenNobodyListens) {
  // Port 9 of this machine: discard, which nobody has served for decades.
  const auto answers = check_registry_answers(*parse_image_name("127.0.0.1:9/app"), 1000);
  ASSERT_FALSE(answers);
  EXPECT_EQ(answers.error().context, "dial tcp 127.0.0.1:9: Connection refused");
}

}  // namespace
}  // namespace berth::images
