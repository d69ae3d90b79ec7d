#include "agent/apply/host_machine.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "agent/apply/container_bundle.h"
#include "agent/runtime/oci_config.h"
#include "base/files.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "dataplane/task_files.h"
#include "dataplane/vpc_layout.h"
#include "taskdir/paths.h"

namespace berth::agent {
namespace {

constexpr size_t kObservedBytesMax = 1 << 20;

Result<void> make_directory(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail(errno, "mkdir " + path);
}

}  // namespace

HostMachine::HostMachine(Parts parts) : parts_(std::move(parts)) {}

std::string HostMachine::task_directory(const std::string& task_id) const {
  return fmt::format("{}/tasks/{}", parts_.state_directory, task_id);
}

std::string HostMachine::logs_directory() const { return parts_.state_directory + "/logs"; }

void HostMachine::prepare_images(const std::string& task_id, std::vector<std::string> names,
                                 std::function<void(Prepared)> done) {
  preparing_.insert_or_assign(task_id, Preparing{std::move(names), {}, std::move(done)});
  prepare_next(task_id);
}

void HostMachine::prepare_next(const std::string& task_id) {
  const auto at = preparing_.find(task_id);
  Preparing& preparing = at->second;
  std::vector<images::ResolvedImage>& images = preparing.prepared.images;
  while (preparing.prepared.all && images.size() < preparing.names.size()) {
    const std::string& name = preparing.names[images.size()];
    auto image = parts_.images.resolve(name);
    if (!image) {
      preparing.pull = parts_.images.pull(name, [this, &loop = parts_.loop, task_id](const auto& pulled_image) {
        Result<void> result;
        if (!pulled_image) result = tl::unexpected(pulled_image.error());
        loop.post([this, task_id, result = std::move(result)] { pulled(task_id, result); });
      });
      return;
    }
    images.push_back(std::move(*image));
  }
  auto node = preparing_.extract(at);
  parts_.loop.post([ready = std::move(node.mapped())]() mutable { ready.done(std::move(ready.prepared)); });
}

void HostMachine::pulled(const std::string& task_id, const Result<void>& result) {
  const auto at = preparing_.find(task_id);
  if (at == preparing_.end()) return;
  Preparing& preparing = at->second;
  const std::string& name = preparing.names[preparing.prepared.images.size()];
  if (preparing.cancelled)
    preparing.prepared.all = fail("CannotPullContainerError: the task is stopping");
  else if (!result)
    preparing.prepared.all = result;
  else if (!parts_.images.resolve(name))
    preparing.prepared.all = fail("CannotPullContainerError: image " + name + " was removed while it was pulled");
  prepare_next(task_id);
}

void HostMachine::cancel_images(const std::string& task_id) {
  const auto at = preparing_.find(task_id);
  if (at == preparing_.end()) return;
  at->second.cancelled = true;
  parts_.images.cancel(at->second.pull);
}

void HostMachine::apply(dataplane::NetworkChange change) {
  network_worker_.post([this, change = std::move(change)]() mutable {
    const std::string vpc = change.vpc;
    if (const auto applied = parts_.network.apply(std::move(change)); !applied)
      log_warning("the network of {} is not as it should be: {}", vpc, applied.error().context);
  });
}

void HostMachine::attach(const Assignment& assigned, std::optional<Ipv4> address,
                         std::function<void(Result<std::pair<network::TaskNet, Ipv4>>)> done) {
  if (!address) parts_.cgroups.prepare(assigned.path.id);
  network_worker_.post([this, interface = assigned.order->interface, address, id = assigned.path.id, done = std::move(done)]() mutable {
    Result<std::pair<network::TaskNet, Ipv4>> out = fail("it has no network interface");
    if (const auto ordered = parse_ipv4(interface.address)) address = ordered;
    kill_point("before-network");
    if (address) {
      auto net = parts_.network.attach(interface.vpc_id, interface.eni_id, id);
      if (net)
        out = std::pair{std::move(*net), *address};
      else
        out = tl::unexpected(net.error());
    }
    kill_point("after-network");
    parts_.loop.post([out = std::move(out), done = std::move(done)]() mutable { done(std::move(out)); });
  });
}

void HostMachine::detach(const Assignment& assigned, std::function<void()> done) {
  network_worker_.post([this, id = assigned.path.id, done = std::move(done)]() mutable {
    if (const auto detached = parts_.network.detach_task(id); !detached)
      log_warning("task {}: its network stays until the next start: {}", id, detached.error().context);
    parts_.loop.post(std::move(done));
  });
}

Result<void> HostMachine::write_files(const Launch& launch) {
  const Assignment& assigned = launch.assigned;
  const std::string directory = task_directory(assigned.path.id);
  const std::string network = directory + "/network";
  const std::string volumes = directory + "/" + taskdir::kVolumesDirectory;
  const std::string own_logs = fmt::format("{}/task-logs/{}", parts_.state_directory, own_log_group(assigned.path.id));
  const std::string& region = assigned.path.scope.region;
  for (const auto& [path, mode] : {std::pair{directory, 0700}, {network, 0755}, {volumes, 0755}, {own_logs, 0700}})
    if (auto made = make_directory(path, static_cast<mode_t>(mode)); !made) return made;
  for (const std::string& volume : assigned.order->volumes)
    if (auto made = make_directory(fmt::format("{}/{}", volumes, volume), 0755); !made) return made;
  for (const ImageVolume& volume : image_volumes(launch.containers, launch.images))
    if (auto made = make_directory(fmt::format("{}/{}", volumes, volume.plan.name), 0755); !made) return made;
  for (const records::OrderLog& log : assigned.order->logs)
    if (auto made = make_directory(fmt::format("{}/{}", logs_directory(), log.group_uid), 0700); !made) return made;
  for (const auto& [file, text] :
       {std::pair<const char*, std::string>{"hosts", dataplane::render_hosts(launch.address, region)},
        {"hostname", dataplane::render_hostname(launch.address, region)},
        {"resolv.conf", dataplane::render_resolv_conf(launch.net.resolvers, region)}})
    if (auto written = replace_file(network + "/" + file, text, Durable::no, 0644); !written) return written;
  return replace_file(directory + "/observed", launch.observed, Durable::no);
}

// Once: the machine does so to every task alike.
void HostMachine::tell_of_cut_limits(const std::string& task_id, const runtime::ContainerSpec& spec) {
  const int64_t max = parts_.host.open_files_max;
  if (told_of_cut_limits_ || max == 0 || runtime::open_files_wanted(spec) <= max) return;
  told_of_cut_limits_ = true;
  log_warning(
      "task {} is to have more open files than {}, the most that this process may give (it lacks CAP_SYS_RESOURCE): its "
      "limit is cut to that, and so is that of other tasks",
      task_id, max);
}

Result<std::string> HostMachine::config(const Launch& launch, const std::vector<ImageVolume>& volumes,
                                        size_t container) {
  const BundlePlace place{task_directory(launch.assigned.path.id), parts_.host.instance,
                          dataplane::private_dns_name(launch.address, launch.assigned.path.scope.region),
                          parts_.init_program, parts_.host.open_files_max};
  auto spec = container_spec(launch.assigned, launch.containers, container, launch.images[container], volumes, place);
  if (!spec) return tl::unexpected(spec.error());
  tell_of_cut_limits(launch.assigned.path.id, *spec);
  const auto capabilities = runtime::capabilities_of(spec->capabilities_add, spec->capabilities_drop);
  if (!capabilities) return tl::unexpected(capabilities.error());
  spec->compiled_filter = parts_.filters.of(*capabilities);
  return runtime::oci_config(*spec);
}

Result<std::vector<Bundle>> HostMachine::bundles(const Launch& launch, std::vector<Uncreatable>& uncreatable) {
  const std::vector<ImageVolume> volumes = image_volumes(launch.containers, launch.images);
  std::vector<Bundle> out;
  for (size_t i = 0; i < launch.containers.size(); ++i) {
    auto text = config(launch, volumes, i);
    if (!text && launch.containers[i].essential) return tl::unexpected(text.error());
    if (!text) uncreatable.push_back({i, text.error().context});
    // Its directory is there all the same: others may have volumes of its image.
    out.push_back({launch.containers[i].name, text ? std::move(*text) : ""});
  }
  return out;
}

Result<std::vector<Machine::Uncreatable>> HostMachine::supervise(const Launch& launch) {
  std::vector<std::vector<std::string>> layers;
  for (const images::ResolvedImage& image : launch.images) layers.push_back(image.layers);
  taskdir::Plan plan =
      task_plan(launch.assigned, launch.containers, layers, parts_.host,
                {logs_directory(),
                 fmt::format("{}/task-logs/{}", parts_.state_directory, own_log_group(launch.assigned.path.id))});
  for (size_t i = 0; i < launch.images.size(); ++i)
    plan.containers[i].stop_signal =
        static_cast<uint32_t>(runtime::stop_signal_number(launch.images[i].config.stop_signal));
  for (ImageVolume& volume : image_volumes(launch.containers, launch.images))
    plan.image_volumes.push_back(std::move(volume.plan));
  plan.network_namespace = launch.net.netns_path;
  std::vector<Uncreatable> uncreatable;
  const auto described = bundles(launch, uncreatable);
  if (!described) return tl::unexpected(described.error());
  if (auto written = write_files(launch); !written) return tl::unexpected(written.error());
  if (auto spawned = parts_.supervisors.spawn(plan, *described); !spawned) return tl::unexpected(spawned.error());
  return uncreatable;
}

void HostMachine::command(const std::string& task_id, const taskdir::Command& command) {
  // A supervisor that cannot be told is ending; gone() says the rest.
  if (const auto sent = parts_.supervisors.send(task_id, command); !sent) log_debug("{}", sent.error().context);
}

void HostMachine::start(const std::string& task_id, uint32_t container, uint32_t attempt) {
  command(task_id, {.kind = taskdir::CommandKind::start, .container = container, .id = attempt});
}

void HostMachine::stop(const std::string& task_id, const std::string& why) {
  kill_point("before-stop");
  command(task_id, {.kind = taskdir::CommandKind::stop_task, .text = why});
  kill_point("after-stop");
}

void HostMachine::kill(const std::string& task_id, const std::string& why) {
  log_warning("task {}: {}", task_id, why);
  parts_.supervisors.kill(task_id, why);
}

void HostMachine::execute(const std::string& task_id, uint32_t container, std::vector<std::string> arguments,
                          uint32_t timeout_ms, std::function<void(Executed)> done) {
  const uint64_t id = ++last_execution_;
  executions_.emplace(id, Execution{task_id, std::move(done)});
  command(task_id, {.kind = taskdir::CommandKind::execute,
                    .container = container,
                    .timeout_ms = timeout_ms,
                    .id = id,
                    .arguments = std::move(arguments)});
}

void HostMachine::executed(const taskdir::Reply& reply) {
  const auto at = executions_.find(reply.id);
  if (at == executions_.end()) return;
  const Execution execution = std::move(at->second);
  executions_.erase(at);
  execution.done({reply.exit_code == 0, reply.output});
}

void HostMachine::gone(const std::string& task_id) {
  std::erase_if(executions_, [&](const auto& entry) { return entry.second.task_id == task_id; });
}

void HostMachine::remove(const std::string& task_id) {
  kill_point("before-release");
  parts_.supervisors.remove(task_id);
  parts_.cgroups.remove(task_id);
  kill_point("after-release");
}

void HostMachine::wake_at(TimeMs when_ms, std::function<void()> callback) {
  const int64_t wait_ms = std::max<int64_t>(0, when_ms - now_ms());
  parts_.loop.after_ms(wait_ms, std::move(callback));
}

void HostMachine::collect_network(std::set<std::string> live) {
  network_worker_.post([this, live = std::move(live)] {
    if (const auto collected = parts_.network.collect(live); !collected)
      log_warning("what an earlier run left in the network stays: {}", collected.error().context);
  });
}

std::string HostMachine::observed_at_launch(const std::string& task_id) const {
  return read_file(task_directory(task_id) + "/observed", kObservedBytesMax).value_or("");
}

void HostMachine::remove_own_logs(const std::string& task_id) {
  files_worker_.post([path = fmt::format("{}/task-logs/{}", parts_.state_directory, own_log_group(task_id))] {
    std::error_code ignored;  // what stays is a directory of 10 MB at most, and is tried again at the next start
    std::filesystem::remove_all(path, ignored);
  });
}

}  // namespace berth::agent
