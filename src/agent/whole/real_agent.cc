#include "agent/whole/real_agent.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "agent/apply/agent.h"
#include "agent/apply/host_machine.h"
#include "agent/apply/observation_sink.h"
#include "agent/apply/order_source.h"
#include "agent/companions/companions.h"
#include "agent/companions/resolver.h"
#include "agent/companions/zone_feed.h"
#include "agent/runtime/filters.h"
#include "agent/runtime/probe.h"
#include "agent/supervise/supervisors.h"
#include "base/log.h"
#include "base/program_beside.h"
#include "taskdir/cgroups.h"
#include "taskdir/paths.h"

namespace berth::agent {

namespace {

// What tasks' overlays are made of, as their plans say: these layers stay, whatever becomes of their images' names.
std::set<std::string> layers_of_tasks(const std::string& tasks_directory) {
  std::set<std::string> out;
  std::error_code none;
  for (const auto& task : std::filesystem::directory_iterator(tasks_directory, none)) {
    std::ifstream file(task.path() / taskdir::kPlanFile, std::ios::binary);
    std::stringstream bytes;
    bytes << file.rdbuf();
    const auto plan = taskdir::decode_plan(bytes.str());
    if (!plan) continue;
    for (const taskdir::ContainerPlan& container : plan->containers)
      out.insert(container.lower_directories.begin(), container.lower_directories.end());
  }
  return out;
}

}  // namespace

struct RealAgent::Parts {
  Parts(Needs n, runtime::Runtime r) : needs(std::move(n)), runtime(std::move(r)) {}

  Needs needs;
  runtime::Runtime runtime;
  EventLoop loop;  // before the images: their threads post to it until they have ended
  std::unique_ptr<network::Network> network;
  std::unique_ptr<images::ImageStore> images;
  std::unique_ptr<Agent> agent;
  std::unique_ptr<Supervisors> supervisors;
  runtime::Filters filters{program_beside("berth-seccomp")};
  std::unique_ptr<LaunchCgroups> cgroups;
  std::unique_ptr<HostMachine> machine;
  std::unique_ptr<Companions> companions;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<ZoneFeed> zones;  // before the orders: a name goes before its task is told to stop
  std::unique_ptr<OrderSource> orders;
  std::unique_ptr<ObservationSink> observations;
  std::thread thread;
};

// The resolver answers where the VPC's tasks look: at the third address of its primary network and at the link-local one.
void RealAgent::serve_names(Parts& p, const std::string& vpc, std::optional<Ipv4Network> primary) {
  if (!primary) return p.resolver->leave(vpc);
  resolver::Listener listener;
  listener.namespace_path = p.network->instance().netns_path(vpc);
  for (const Ipv4 address : {dataplane::resolver_address(*primary), dataplane::kLinkLocalResolver})
    listener.addresses.push_back(address.value);
  p.resolver->serve(vpc, std::move(listener));
}

void RealAgent::prepare_companions(Parts& p) {
  const network::Instance& instance = p.network->instance();
  p.companions = std::make_unique<Companions>(
      p.loop, CompanionsOptions{instance.directory() + "/companions", instance.name, p.runtime.cgroup_root,
                                p.runtime.cgroup_mode});
  Resolver::Needs needs{p.loop, *p.companions, program_beside("berth-resolver"), {}, {}};
  needs.ask_snapshot = [&p] {
    p.needs.on_state_thread([&p] {
      for (resolver::Frame& frame : p.zones->snapshot()) p.resolver->tell(std::move(frame));
    });
  };
  needs.answering = [&p](const std::string& vpc) {
    if (const auto turned = p.network->set_resolver(vpc, true); !turned)
      log_warning("names of {} are asked outside: {}", vpc, turned.error().context);
  };
  p.resolver = std::make_unique<Resolver>(std::move(needs));
  p.zones = std::make_unique<ZoneFeed>(p.needs.store,
                                       [&p](resolver::Frame frame) { p.resolver->tell(std::move(frame)); });
}

RealAgent::RealAgent(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

RealAgent::~RealAgent() { stop(); }

Result<std::unique_ptr<RealAgent>> RealAgent::open(Needs needs) {
  runtime::Runtime runtime = runtime::probe();
  if (runtime.path.empty()) return fail(runtime.problem);
  auto parts = std::make_unique<Parts>(std::move(needs), std::move(runtime));
  const std::string& state = parts->needs.state_directory;

  for (const char* directory : {"logs", "task-logs"})
    if (const std::string path = state + "/" + directory; ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
      return fail(errno, "mkdir " + path);

  network::NetworkOptions network_options{
      .state_directory = state, .public_block = parts->needs.public_pool, .announced = parts->needs.pool_announced};
  network_options.vpc_changed = [&p = *parts](const std::string& vpc, std::optional<Ipv4Network> primary) {
    p.loop.post([&p, vpc, primary] { serve_names(p, vpc, primary); });
  };
  network_options.collected = [&p = *parts] {
    p.loop.post([&p] {
      p.resolver->settle();
      p.companions->settle();
    });
  };
  auto network = network::Network::open(std::move(network_options));
  if (!network) return tl::unexpected(network.error());
  parts->network = std::move(*network);
  images::ImageStoreOptions image_options;
  image_options.state_directory = state;
  image_options.unpack_program = images::default_unpack_program();
  image_options.layers_in_use = [tasks = state + "/tasks"] { return layers_of_tasks(tasks); };
  auto images = images::ImageStore::open(std::move(image_options));
  if (!images) return tl::unexpected(images.error());
  parts->images = std::move(*images);

  Parts& p = *parts;
  p.agent =
      std::make_unique<Agent>(p.loop, [&p](const records::keys::TaskPath& path, const records::TaskObserved& observed) {
        p.needs.on_state_thread([&p, path, observed] { p.observations->write(path, observed); });
      });
  SupervisorsOptions options;
  options.tasks_directory = state + "/tasks";
  options.program = program_beside("berth-supervisor");
  options.instance = p.network->instance().name;
  options.cgroup_root = p.runtime.cgroup_root;
  options.cgroup_mode = p.runtime.cgroup_mode;
  const std::string supervisor = options.program;
  p.supervisors = std::make_unique<Supervisors>(p.loop, options, *p.agent);
  p.cgroups = std::make_unique<LaunchCgroups>(options.instance, options.cgroup_root, options.cgroup_mode,
                                              p.runtime.own_cgroup_procs);
  const Host host{options.instance,
                  p.runtime.path,
                  fmt::format("{}/runtime", p.network->instance().directory()),
                  p.runtime.cgroup_mode,
                  static_cast<int>(std::thread::hardware_concurrency()),
                  p.runtime.open_files_max,
                  p.runtime.processes_max};
  p.machine = std::make_unique<HostMachine>(HostMachine::Parts{
      p.loop, *p.supervisors, *p.images, *p.network, p.needs.clock, host, state, supervisor, p.filters, *p.cgroups});
  p.agent->use(*p.machine, *p.supervisors);
  prepare_companions(p);
  p.orders = std::make_unique<OrderSource>(p.needs.store, *p.agent, p.needs.host);
  p.observations = std::make_unique<ObservationSink>(p.needs.store, p.needs.host_epoch);
  return std::unique_ptr<RealAgent>(new RealAgent(std::move(parts)));
}

void RealAgent::start() {
  parts_->orders->start();
  parts_->thread = std::thread([this] { parts_->loop.run(); });
  pthread_setname_np(parts_->thread.native_handle(), "agent");
}

void RealAgent::stop() {
  if (!parts_->thread.joinable()) return;
  parts_->loop.stop();
  parts_->thread.join();
  // Only now: a task whose image was being copied has not failed, the next daemon copies it.
  parts_->images->end();
}

void RealAgent::apply(dataplane::NetworkChange change) { parts_->machine->apply(std::move(change)); }

images::ImageStore& RealAgent::images() { return *parts_->images; }

Result<void> RealAgent::remove_from_host() {
  if (auto ended = Companions::end_all(parts_->network->instance().directory() + "/companions"); !ended) return ended;
  parts_->cgroups.reset();  // when it has done what was posted: a cgroup made after this would stay
  // The last supervisors are ending, on a busy machine for some seconds; version 1 has no event for an empty cgroup.
  const std::string cgroup = taskdir::instance_cgroup(parts_->network->instance().name);
  int busy = 0;
  for (int attempt = 0; attempt < 1500; ++attempt) {
    busy = taskdir::remove_cgroup(parts_->runtime.cgroup_root, parts_->runtime.cgroup_mode, cgroup);
    if (busy != EBUSY) break;
    ::poll(nullptr, 0, 10);
  }
  auto network = parts_->network->remove_all();
  if (network && busy != 0) return fail(busy, "remove the cgroup " + cgroup);
  return network;
}

}  // namespace berth::agent
