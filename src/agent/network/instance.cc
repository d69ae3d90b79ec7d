#include "agent/network/instance.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>

#include "agent/network/namespaces.h"
#include "base/files.h"
#include "base/random.h"
#include "dataplane/names.h"
#include "dataplane/vpc_layout.h"

namespace berth::network {
namespace {

namespace fs = std::filesystem;

constexpr size_t kFileBytesMax = 64 * 1024;

// Two instances of one short name are told apart by their owner file.
std::string short_hash(std::string_view text) { return fmt::format("{:06x}", dataplane::name_hash(text) >> 40); }

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) return fail(errno, "make directory " + path);
  return {};
}

bool mounted(const std::string& directory) {
  struct stat own = {};
  struct stat parent = {};
  return ::stat(directory.c_str(), &own) == 0 && ::stat((directory + "/..").c_str(), &parent) == 0 &&
         own.st_dev != parent.st_dev;
}

std::string owner_text(const std::string& state_directory, const std::string& id) {
  return state_directory + "\n" + id + "\n";
}

}  // namespace

bool fit_for_name(const std::string& id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  });
}

bool is_instance_name(std::string_view name) {
  return name.size() == 6 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string Instance::vpc_link(const std::string& vpc_id) const { return link_prefix() + short_hash(vpc_id); }

namespace {
// Locks of the open file, not of the process: threads of one process exclude one another as well.
struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}
}  // namespace

Result<Fd> lock_file(const std::string& path, bool wait) {
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return fail(errno, "open " + path);
  struct flock lock = whole_file();
  while (::fcntl(fd.get(), wait ? F_OFD_SETLKW : F_OFD_SETLK, &lock) != 0) {
    if (errno != EINTR) return fail(errno, "lock " + path);
  }
  return fd;
}

bool locked(const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  struct flock lock = whole_file();
  return fd && ::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

Result<Instance> instance_of(const std::string& state_directory, const std::string& run_root) {
  std::error_code error;
  const std::string canonical = fs::canonical(state_directory, error);
  if (error) return fail(error.value(), "state directory " + state_directory);
  const std::string id_path = canonical + "/instance";
  auto id = read_file(id_path, kFileBytesMax);
  if (!id && id.error().errno_value == ENOENT) {
    SystemRandom random;
    if (auto written = replace_file(id_path, new_hex_id(random, 16) + "\n", Durable::yes); !written) {
      return tl::unexpected(written.error());
    }
    id = read_file(id_path, kFileBytesMax);
  }
  if (!id) return tl::unexpected(id.error());
  return Instance{short_hash(owner_text(canonical, first_line(*id))), run_root};
}

Result<void> prepare_instance(const Instance& instance, const std::string& state_directory) {
  for (const std::string& directory : {instance.run_root, instance.directory()}) {
    if (auto made = make_directory(directory, 0755); !made) return made;
  }
  std::error_code error;
  const std::string canonical = fs::canonical(state_directory, error);
  if (error) return fail(error.value(), "state directory " + state_directory);
  auto id = read_file(canonical + "/instance", kFileBytesMax);
  if (!id) return tl::unexpected(id.error());
  const std::string owner = owner_text(canonical, first_line(*id));
  const std::string owner_path = instance.directory() + "/owner";
  if (auto present = read_file(owner_path, kFileBytesMax); present && *present != owner) {
    return fail(
        fmt::format("{} belongs to the state directory {}, whose instance has the same short name; move one of "
                    "the two state directories",
                    instance.directory(), first_line(*present)));
  }
  if (auto written = replace_file(owner_path, owner, Durable::no); !written) return written;
  for (const std::string& directory : {instance.vpcs_directory(), instance.netns_directory()}) {
    if (auto made = make_directory(directory, 0755); !made) return made;
  }
  const std::string netns = instance.netns_directory();
  if (!mounted(netns) &&
      ::mount("berth", netns.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=1m") != 0) {
    return fail(errno, "mount a tmpfs on " + netns);
  }
  // Private: a namespace bound here must not be bound again in every mount namespace that follows the host's.
  if (::mount(nullptr, netns.c_str(), nullptr, MS_PRIVATE, nullptr) != 0) return fail(errno, "make private " + netns);
  return {};
}

Result<void> write_vpc_record(const Instance& instance, const VpcRecord& record) {
  std::string text;
  for (const Ipv4Network& network : record.networks) text += (text.empty() ? "" : " ") + network.to_string();
  return replace_file(instance.vpcs_directory() + "/" + record.vpc_id, fmt::format("{}\n{}\n", text, record.link),
                      Durable::no);
}

std::vector<VpcRecord> read_vpc_records(const Instance& instance) {
  std::vector<VpcRecord> records;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(instance.vpcs_directory(), error)) {
    VpcRecord record{entry.path().filename(), {}, 0};
    const auto text = read_file(entry.path(), kFileBytesMax);
    if (!fit_for_name(record.vpc_id) || !text) continue;
    std::istringstream lines(*text);
    std::string line, word;
    std::getline(lines, line);
    for (std::istringstream words(line); words >> word;) {
      if (const auto network = parse_network(word)) record.networks.push_back(*network);
    }
    if (!(lines >> record.link) || record.link >= dataplane::kLinksMax) record.link = 0;
    if (!record.networks.empty()) records.push_back(std::move(record));
  }
  return records;
}

std::vector<SeenInstance> list_instances(const std::string& run_root) {
  std::vector<SeenInstance> instances;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run_root, error)) {
    if (!entry.is_directory(error)) continue;
    SeenInstance seen;
    seen.instance = {entry.path().filename(), run_root};
    const auto owner = read_file(seen.instance.directory() + "/owner", kFileBytesMax);
    // Without an owner nothing has been made yet: the file comes before every other object.
    if (!owner) continue;
    seen.state_directory = first_line(*owner);
    const auto id = read_file(seen.state_directory + "/instance", kFileBytesMax);
    seen.state_gone = !id || owner_text(seen.state_directory, first_line(*id)) != *owner;
    seen.running = locked(seen.instance.directory() + "/lock");
    seen.vpcs = read_vpc_records(seen.instance);
    for (const auto& file : fs::directory_iterator(seen.instance.netns_directory(), error)) {
      seen.namespaces.push_back(file.path().filename());
    }
    instances.push_back(std::move(seen));
  }
  return instances;
}

}  // namespace berth::network
