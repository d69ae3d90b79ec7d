// Images copied by the real skopeo from registries that are there, ailing, silent or not there.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <thread>
#include <vector>

#include "agent/images/image_store.h"
#include "agent/images/oci.h"
#include "base/fd.h"
#include "images_world.h"

namespace berth::images {
namespace {

using ::testing::HasSubstr;

// A registry of one image, as much of the distribution specification as a pull needs.
class Registry {
 public:
  // What it does with requests after the first, which only asks whether it is there.
  struct Conduct {
    bool silent = false;  // accepts connections and says nothing, from the first on
    int failures = 0;     // answers so many with `status`
    std::string status = "503 Service Unavailable";
    bool stalls = false;  // keeps them open and says nothing
    bool listening = true;
  };
  static constexpr int kForEver = 1'000'000;
  explicit Registry(std::string layout) : Registry(std::move(layout), Conduct()) {}
  Registry(std::string layout, Conduct conduct) : layout_(std::move(layout)), conduct_(std::move(conduct)) {
    listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (conduct_.listening) listen();
  }
  void listen() {
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
    if (!conduct_.silent) thread_ = std::thread([this] { serve(); });
  }
  ~Registry() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
  }
  int requests() const { return requests_; }
  void wait_for_request(int number) const {
    for (int seen = requests_; seen < number; seen = requests_) requests_.wait(seen);
  }
  std::string name(const std::string& rest) const { return fmt::format("127.0.0.1:{}/{}", port_, rest); }

 private:
  static std::string file(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
  }
  void serve() {
    std::vector<Fd> stalled;
    while (true) {
      Fd connection(::accept(listener_.get(), nullptr, nullptr));
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
      requests_.notify_all();
      if (conduct_.stalls && number > 1) {
        stalled.push_back(std::move(connection));
        continue;
      }
      const std::string answer =
          number > 1 && number <= 1 + conduct_.failures
              ? fmt::format("HTTP/1.1 {}\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                            conduct_.status)
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
  const Conduct conduct_;
  std::atomic<int> requests_ = 0;
  Fd listener_;
  int port_ = 0;
  std::thread thread_;
};

TEST_F(ImagesHost, AnImageIsPulledWhereItIsNotHere) {
  const Registry registry(oci("remote", {Tar().file("f", "1").bytes()}));
  auto images = store();
  const auto image = obtain(*images, registry.name("team/app:1"));
  ASSERT_OK(image);
  EXPECT_EQ(text(image->layers[0] + "/f"), "1");
  const auto by_digest = obtain(*images, registry.name("team/app@" + image->digest));
  ASSERT_OK(by_digest);
  EXPECT_EQ(by_digest->layers, image->layers);
  const auto missing = obtain(*images, registry.name("team/app:2"));
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().context,
              ::testing::StartsWith("CannotPullContainerError: pull image manifest has been retried 0 time(s): "
                                    "failed to resolve ref " +
                                    registry.name("team/app:2")));
}

TEST_F(ImagesHost, ARegistryThatFailsForAMomentIsAskedAgain) {
  const std::string layout = oci("remote", {Tar().file("f", "1").bytes()});
  const Registry registry(layout, {.failures = 2});
  auto images = store();
  ASSERT_OK(obtain(*images, registry.name("team/app:1")));
  EXPECT_GT(registry.requests(), 3);
  const Registry broken(layout, {.failures = Registry::kForEver});
  const auto missing = obtain(*images, broken.name("team/app:1"));
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
  Registry registry(oci("remote", {Tar().file("f", "1").bytes()}), {.listening = false});
  auto images = store();
  Result<ResolvedImage> image = fail("");
  std::thread puller([&] { image = obtain(*images, registry.name("team/app:1")); });
  // Refused until then; no event tells that the first try was made, and a later start only makes the test easier.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  registry.listen();
  puller.join();
  ASSERT_OK(image);
}

TEST_F(ImagesHost, ARegistryThatDoesNotAnswerIsToldWithinTwoSeconds) {
  auto images = store();
  const Registry silent("", {.silent = true});
  for (const auto& [name, retries] : {std::pair<std::string, std::string>{silent.name("team/app:1"), "0"},
                                      {"127.0.0.1:9/app", "5"},
                                      {"does-not-exist.invalid/app", ""}}) {
    const auto start = std::chrono::steady_clock::now();
    const auto missing = obtain(*images, name);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2)) << name;
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().context,
                ::testing::StartsWith("CannotPullContainerError: pull image manifest has been retried " + retries))
        << name;
  }
}

TEST_F(ImagesHost, ARegistryThatAsksForPatienceIsAskedAgainAndThatIsTold) {
  const std::string layout = oci("remote", {Tar().file("f", "1").bytes()});
  auto images = store();
  const Registry busy(layout, {.failures = 2, .status = "429 Too Many Requests"});
  ASSERT_OK(obtain(*images, busy.name("team/app:1")));
  const Registry refusing(layout, {.failures = Registry::kForEver, .status = "429 Too Many Requests"});
  const auto missing = obtain(*images, refusing.name("team/app:1"));
  ASSERT_FALSE(missing);
  // skopeo asks for version 2 of the protocol and then for version 1, each five times.
  EXPECT_THAT(missing.error().context,
              ::testing::StartsWith("CannotPullContainerError: pull image manifest has been retried 8 time(s): "));
  EXPECT_EQ(refusing.requests(), 1 + 2 + 8);
  EXPECT_THAT(missing.error().context, ::testing::AnyOf(HasSubstr("429"), HasSubstr("oo many requests")));
}

TEST_F(ImagesHost, ARegistryThatStallsHoldsUpNobodyElse) {
  const std::string layout = oci("remote", {Tar().file("f", "1").bytes()});
  const Registry stalling(layout, {.stalls = true}), healthy(layout);
  auto images = store();
  std::atomic<int> answered = 0;
  const auto count = [&](const auto& image) {
    EXPECT_FALSE(image);
    ++answered;
  };
  const auto first = images->pull(stalling.name("team/app:1"), count);
  const auto second = images->pull(stalling.name("team/app:1"), count);
  for (int other = 0; other < 9; ++other) images->pull(stalling.name("team/app:" + std::to_string(10 + other)), count);
  stalling.wait_for_request(2);
  ASSERT_OK(obtain(*images, healthy.name("team/app:1")));

  images->cancel(first);
  EXPECT_EQ(answered, 1);
  images->cancel(second);
  EXPECT_EQ(answered, 2);
  ASSERT_OK(images->collect_garbage());
  images->end();
  EXPECT_EQ(answered, 11);
  images.reset();
  EXPECT_EQ(files_in(state() + "/images/incoming"), 0u);
}

TEST_F(ImagesHost, AnImageIsFoundWhileAnotherIsUnpacked) {
  const std::string fifo = directory_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const std::string layout = oci("one", {Tar().file("f", "1").bytes()});
  const std::string slow = oci("two", {Tar().file("f", "2").bytes()});
  const std::string unpacks = put("unpacks", "#!/bin/sh\nif [ -e " + fifo + ".armed ]; then echo > " + fifo +
                                                 "; sleep 60; fi\nexec " + program() + " \"$@\"\n");
  ::chmod(unpacks.c_str(), 0755);
  auto images = *ImageStore::open({state(), unpacks});
  ASSERT_OK(images->load("oci:" + layout + ":t", "app"));
  put("fifo.armed", "");
  std::thread loads([&] { EXPECT_FALSE(images->load("oci:" + slow + ":t", "other")); });
  const Fd under_way(::open(fifo.c_str(), O_RDONLY));
  EXPECT_TRUE(images->resolve("app"));
  EXPECT_EQ(images->list().size(), 1u);
  ASSERT_OK(images->collect_garbage());
  ASSERT_OK(images->remove("app"));
  images->end();
  loads.join();
}

}  // namespace
}  // namespace berth::images
