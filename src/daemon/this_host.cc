#include "daemon/this_host.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cctype>

#include "base/files.h"

namespace berth {
namespace {

constexpr size_t kIdDigits = 16;
constexpr size_t kIdFileBytesMax = 64;

bool is_id(const std::string& text) {
  return text.size() == kIdDigits &&
         std::all_of(text.begin(), text.end(), [](char c) { return std::isxdigit(static_cast<unsigned char>(c)); });
}

}  // namespace

Result<records::Host> describe_this_host(const std::string& state_directory, std::string name, int64_t memory_mib,
                                         int64_t cpu_units, Random& random) {
  const std::string path = state_directory + "/host-id";
  records::Host host;
  host.id = read_file(path, kIdFileBytesMax).value_or("");
  if (!is_id(host.id)) {
    host.id = new_hex_id(random, kIdDigits);
    if (auto written = replace_file(path, host.id, Durable::yes); !written) return tl::unexpected(written.error());
  }
  host.name = std::move(name);
  host.memory_mib = memory_mib;
  host.cpu_units = cpu_units;
  utsname system{};
  if (::uname(&system) == 0) {
    const bool arm = std::string(system.machine) == "aarch64";
    host.attributes = {{"ecs.cpu-architecture", arm ? "arm64" : system.machine}, {"ecs.os-type", "linux"}};
  }
  return host;
}

}  // namespace berth
