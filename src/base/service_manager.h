// What systemd is told of the daemon, by the datagrams of sd_notify(3): a unit of Type=notify is started when it is ready,
// so that what is ordered after it finds an API that answers. Three lines of protocol need no libsystemd.
#pragma once

#include <string>
#include <string_view>

namespace berth {

class ServiceManager {
 public:
  // Takes NOTIFY_SOCKET out of the environment, so that no program that we start speaks in our name: to be made before
  // there are threads. Where nobody asked to be told, tell() does nothing.
  ServiceManager();
  // "READY=1", "STOPPING=1". Best effort: a manager that does not listen is told nothing.
  void tell(std::string_view state) const;

 private:
  std::string socket_;
};

}  // namespace berth
