// An image's configuration, from its text to the file that the OCI runtime reads: whatever its author wrote, the file is
// JSON, and what leaves for the supervisor is sound.
#include <cstdlib>

#include "agent/apply/image_volumes.h"
#include "agent/images/oci.h"
#include "agent/runtime/oci_config.h"
#include "agent/runtime/users.h"
#include "base/json.h"

namespace {

using namespace berth;

void require(bool holds) {
  if (!holds) std::abort();
}

void check_volumes(const images::ImageConfig& config) {
  // Once with a root that takes no writes, where every volume is made, and once where only those that are named are.
  for (const bool readonly : {false, true}) {
    records::ContainerDefinition container;
    container.name = "main";
    container.readonly_root = readonly;
    if (!config.volumes.empty()) container.mount_points.push_back({"named", config.volumes[0], false});
    images::ResolvedImage image;
    image.config = config;
    taskdir::Plan plan;
    plan.task_id = plan.instance = "x";
    plan.containers.push_back({.name = "main"});
    for (const auto& volume : agent::image_volumes({container}, {image})) {
      const std::string& path = volume.plan.path;
      require(path.size() > 1 && path.front() == '/' && path.back() != '/');
      require((path + "/").find("/../") == path.npos);
      plan.image_volumes.push_back(volume.plan);
    }
    require(taskdir::decode_plan(taskdir::encode_plan(plan)) == plan);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto read = images::parse_configuration({reinterpret_cast<const char*>(data), size});
  if (!read) return 0;
  const images::ImageConfig& config = read->config;
  check_volumes(config);
  const int signal = runtime::stop_signal_number(config.stop_signal);
  require(signal >= 1 && signal <= 64);
  runtime::ContainerSpec spec;
  if (auto user = runtime::resolve_user(config.user, "root:x:0:0::/root:/bin/sh\n", "root:x:0:\n")) spec.user = *user;
  spec.image = {config.env, config.entrypoint, config.cmd, config.user, config.working_dir, config.stop_signal};
  spec.init_process = size % 2 == 0;
  const auto written = runtime::oci_config(spec);
  if (!written) return 0;
  const auto parsed = json::parse(*written);
  require(parsed.has_value());
  const bool no_entry = config.entrypoint == std::vector<std::string>{""};
  require((*parsed)["process"]["args"].array_or_empty().size() >=
          (no_entry ? 0 : config.entrypoint.size()) + config.cmd.size());
  require((*parsed)["process"]["user"]["uid"].int_or(-1) == spec.user.uid);
  require((*parsed)["root"]["readonly"].bool_or(true) == false);
  return 0;
}
