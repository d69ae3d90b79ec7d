#include "base/service_manager.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <string>

#include "base/fd.h"

namespace berth {
namespace {

// Stands for systemd: a datagram socket of the given name ('@' for the abstract namespace).
class Manager {
 public:
  explicit Manager(const std::string& name) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, sizeof address.sun_path - 1);
    if (name[0] == '@') address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), length), 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  std::string told() const {
    char text[64];
    const ssize_t got = ::recv(socket_.get(), text, sizeof text, MSG_DONTWAIT);
    return got < 0 ? "" : std::string(text, static_cast<size_t>(got));
  }

 private:
  Fd socket_;
};

TEST(ServiceManager, IsToldBySocketsOfBothKinds) {
  const std::string path = ::testing::TempDir() + "notify-" + std::to_string(::getpid());
  for (const std::string& name : {path, "@berth-test-" + std::to_string(::getpid())}) {
    const Manager manager(name);
    const ServiceManager told;
    told.tell("READY=1");
    EXPECT_EQ(manager.told(), "READY=1") << name;
    EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr) << "no child of ours speaks in our name";
  }
  ::unlink(path.c_str());
}

TEST(ServiceManager, WhereNobodyListensNothingIsSaid) {
  ::unsetenv("NOTIFY_SOCKET");
  ServiceManager().tell("READY=1");
  for (const std::string& name : {std::string("/nowhere/at/all"), std::string(200, 'x')}) {
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    ServiceManager().tell("READY=1");
  }
}

}  // namespace
}  // namespace berth
