#include "base/program_beside.h"

#include <unistd.h>

#include <climits>

namespace berth {

std::string program_beside(const std::string& name) {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length > 0) {
    const std::string path(self, static_cast<size_t>(length));
    std::string beside = path.substr(0, path.rfind('/') + 1) + name;
    if (::access(beside.c_str(), X_OK) == 0) return beside;
  }
  return "/usr/lib/berth/" + name;
}

}  // namespace berth
