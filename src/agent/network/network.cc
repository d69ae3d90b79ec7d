#include "agent/network/network.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "agent/network/file_watch.h"
#include "agent/network/host.h"
#include "agent/network/namespaces.h"
#include "agent/network/serial_thread.h"
#include "agent/network/vpc.h"
#include "base/log.h"

namespace berth::network {

class Network::Impl {
 public:
  Impl(NetworkOptions options, Instance instance, Fd lock, Host host)
      : options_(std::move(options)),
        instance_(std::move(instance)),
        lock_(std::move(lock)),
        host_(std::move(host)),
        upstreams_(read_upstreams(options_.resolv_confs)) {}

  const Instance& instance() const { return instance_; }

  Result<void> start() {
    if (auto entered = enter_namespace(host_.namespace_fd); !entered) return entered;
    return collect_gone();
  }

  Result<void> ensure_vpc(VpcSpec spec) {
    if (!fit_for_name(spec.id)) return fail("'" + spec.id + "' is no VPC id");
    // Between looking at the routes and claiming a network, no other instance may do the same.
    auto machine = lock_file(instance_.run_root + "/lock", true);
    if (!machine) return tl::unexpected(machine.error());
    auto routes = host_routes(host_, instance_.run_root, instance_.name, spec.id);
    if (!routes) return tl::unexpected(routes.error());
    if (auto free = dataplane::choose_vpc_network(*routes, spec.network.to_string()); !free) {
      // Tasks that run keep their network, whatever routes have come to this machine since, such as a VPN's.
      if (!is_set_up(spec)) return tl::unexpected(free.error());
      log_warning("{}: {}", spec.id, free.error().context);
    }
    if (auto written = write_vpc_record(instance_, {spec.id, spec.network}); !written) return written;
    NetlinkBatch claim;
    put_unreachable(claim, spec.network);
    if (auto claimed = host_.route.send(claim); !claimed) return claimed;
    if (auto forwards = ensure_forwarding(instance_.run_root); !forwards) return forwards;
    if (auto loaded = load_host_rules(host_, instance_, upstreams_); !loaded) return loaded;

    const auto known = vpcs_.find(spec.id);
    if (known != vpcs_.end() && known->second->spec().subnets == spec.subnets) {
      return known->second->load_rules(spec, upstreams_of(spec.network));
    }
    const std::string id = spec.id;
    const auto upstreams = upstreams_of(spec.network);
    auto vpc = Vpc::ensure(host_, instance_, std::move(spec), upstreams);
    if (!vpc) return tl::unexpected(vpc.error());
    vpcs_[id] = std::move(*vpc);
    open_loopback(instance_, upstreams_);
    return {};
  }

  Result<void> remove_vpc(const std::string& vpc_id) {
    for (const VpcRecord& record : read_vpc_records(instance_)) {
      if (record.vpc_id != vpc_id) continue;
      if (const auto known = vpcs_.find(vpc_id); known != vpcs_.end()) {
        for (const std::string& task : known->second->tasks()) (void)known->second->detach(task);
        vpcs_.erase(known);
      }
      if (auto removed = remove_vpc_objects(host_, instance_, record); !removed) return removed;
      return load_host_rules(host_, instance_, upstreams_);
    }
    return {};
  }

  Result<TaskNet> attach(const TaskNetSpec& task) {
    if (!fit_for_name(task.task_id)) return fail("'" + task.task_id + "' is no task id");
    const auto vpc = vpcs_.find(task.vpc_id);
    if (vpc == vpcs_.end()) return fail("VPC " + task.vpc_id + " is not set up on this machine");
    if (!vpc->second->spec().network.contains(task.subnet) || !dataplane::assignable(task.subnet, task.address)) {
      return fail(fmt::format("{} is no address for a task in subnet {} of {}", task.address.to_string(),
                              task.subnet.to_string(), task.vpc_id));
    }
    auto net = vpc->second->attach(task);
    if (!net) return net;
    net->resolvers = dataplane::resolver_addresses(vpc->second->spec().network, vpc->second->spec().subnets);
    net->resolvers.resize(std::clamp<size_t>(upstreams_.usable.size(), 1, net->resolvers.size()));
    return net;
  }

  Result<void> detach(const std::string& task_id) {
    if (!fit_for_name(task_id)) return fail("'" + task_id + "' is no task id");
    for (auto& [id, vpc] : vpcs_) {
      if (vpc->has(task_id)) return vpc->detach(task_id);
    }
    return drop_namespace(instance_.netns_path(task_id));
  }

  Result<void> collect(const std::set<std::string>& live_tasks) {
    Result<void> outcome;
    const auto keep = [&](Result<void> result) {
      if (!result && outcome) outcome = std::move(result);
    };
    for (const SeenInstance& seen : list_instances(instance_.run_root)) {
      if (seen.instance.name != instance_.name) continue;
      for (const std::string& id : seen.namespaces) {
        const bool of_vpc = std::any_of(seen.vpcs.begin(), seen.vpcs.end(),
                                        [&](const VpcRecord& record) { return record.vpc_id == id; });
        if (!of_vpc && !live_tasks.contains(id)) keep(detach(id));
      }
      // A task that could not be attached again runs all the same, in a VPC that is not known here.
      if (!all_attached(live_tasks)) continue;
      for (const VpcRecord& record : seen.vpcs) {
        if (!vpcs_.contains(record.vpc_id)) keep(remove_vpc(record.vpc_id));
      }
    }
    for (auto& [id, vpc] : vpcs_) {
      for (const std::string& task : vpc->tasks()) {
        if (!live_tasks.contains(task)) keep(vpc->detach(task));
      }
      keep(vpc->collect());
    }
    return outcome;
  }

  Result<void> refresh_resolvers() {
    const dataplane::Upstreams fresh = read_upstreams(options_.resolv_confs);
    if (fresh == upstreams_) return {};
    upstreams_ = fresh;
    if (vpcs_.empty()) return {};
    if (auto loaded = load_host_rules(host_, instance_, upstreams_); !loaded) return loaded;
    open_loopback(instance_, upstreams_);
    for (auto& [id, vpc] : vpcs_) {
      if (auto loaded = vpc->load_rules(VpcSpec(vpc->spec()), upstreams_of(vpc->spec().network)); !loaded)
        return loaded;
    }
    return {};
  }

  Result<void> remove_all() {
    auto machine = lock_file(instance_.run_root + "/lock", true);
    if (!machine) return tl::unexpected(machine.error());
    vpcs_.clear();
    return remove_instance(host_, instance_);
  }

 private:
  // As the VPC sees them: what listens on the host's loopback, it asks at the host's end of its link.
  std::vector<Ipv4> upstreams_of(const Ipv4Network& vpc) const {
    if (upstreams_.loopback) return {dataplane::host_address(vpc)};
    return upstreams_.usable;
  }

  bool is_set_up(const VpcSpec& spec) const {
    const std::vector<VpcRecord> records = read_vpc_records(instance_);
    return is_namespace(instance_.netns_path(spec.id)) &&
           std::any_of(records.begin(), records.end(), [&](const VpcRecord& record) {
             return record.vpc_id == spec.id && record.network == spec.network;
           });
  }

  bool all_attached(const std::set<std::string>& tasks) const {
    return std::all_of(tasks.begin(), tasks.end(), [&](const std::string& task) {
      const auto has = [&](const auto& vpc) { return vpc.second->has(task); };
      return std::any_of(vpcs_.begin(), vpcs_.end(), has) || !is_namespace(instance_.netns_path(task));
    });
  }

  // What instances without a state directory and without a daemon left behind.
  Result<void> collect_gone() {
    auto machine = lock_file(instance_.run_root + "/lock", true);
    if (!machine) return tl::unexpected(machine.error());
    for (const SeenInstance& seen : list_instances(instance_.run_root)) {
      if (!seen.state_gone || seen.running || seen.instance.name == instance_.name) continue;
      if (auto removed = remove_instance(host_, seen.instance); !removed) {
        log_warning("cannot remove what the Berth of {} left: {}", seen.state_directory, removed.error().context);
      } else {
        log_info("removed what the Berth of {} left on this machine", seen.state_directory);
      }
    }
    return {};
  }

  const NetworkOptions options_;
  const Instance instance_;
  const Fd lock_;
  Host host_;
  dataplane::Upstreams upstreams_;
  std::map<std::string, std::unique_ptr<Vpc>> vpcs_;

 public:
  SerialThread thread{"network"};  // ends before what it works on
  // Last: ends before the thread that it calls. A laptop changes networks without asking.
  FileWatch resolver_watch{options_.resolv_confs, [this] {
                             if (auto done = thread.run([this] { return refresh_resolvers(); }); !done) {
                               log_warning("cannot turn tasks to this machine's new name servers: {}",
                                           done.error().context);
                             }
                           }};
};

namespace {

// A daemon that was killed while it started a program leaves its lock to that one for some milliseconds.
Result<Fd> take_lock(const Instance& instance) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (true) {
    auto lock = lock_file(instance.directory() + "/lock", false);
    if (lock || lock.error().errno_value != EAGAIN || std::chrono::steady_clock::now() > deadline) return lock;
    // No event: a lock that is waited for with a time limit tells nobody when it comes free.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

}  // namespace

Result<std::unique_ptr<Network>> Network::open(NetworkOptions options) {
  auto instance = instance_of(options.state_directory, options.run_root);
  if (!instance) return tl::unexpected(instance.error());
  if (auto prepared = prepare_instance(*instance, options.state_directory); !prepared) {
    return tl::unexpected(prepared.error());
  }
  auto lock = take_lock(*instance);
  if (!lock) {
    return fail("another berth serves the state directory " + options.state_directory + " (" + lock.error().context +
                ")");
  }
  instance->lock_fd = lock->get();
  auto host = Host::open();
  if (!host) return tl::unexpected(host.error());
  auto impl = std::make_unique<Impl>(std::move(options), std::move(*instance), std::move(*lock), std::move(*host));
  if (auto started = impl->thread.run([&] { return impl->start(); }); !started) return tl::unexpected(started.error());
  return std::unique_ptr<Network>(new Network(std::move(impl)));
}

Network::Network(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Network::~Network() = default;

const Instance& Network::instance() const { return impl_->instance(); }

Result<void> Network::ensure_vpc(VpcSpec spec) {
  return impl_->thread.run([&] { return impl_->ensure_vpc(std::move(spec)); });
}
Result<void> Network::remove_vpc(const std::string& vpc_id) {
  return impl_->thread.run([&] { return impl_->remove_vpc(vpc_id); });
}
Result<TaskNet> Network::attach_task(TaskNetSpec spec) {
  return impl_->thread.run([&] { return impl_->attach(spec); });
}
Result<void> Network::detach_task(const std::string& task_id) {
  return impl_->thread.run([&] { return impl_->detach(task_id); });
}
Result<void> Network::collect(const std::set<std::string>& live_tasks) {
  return impl_->thread.run([&] { return impl_->collect(live_tasks); });
}
Result<void> Network::refresh_resolvers() {
  return impl_->thread.run([&] { return impl_->refresh_resolvers(); });
}
Result<void> Network::remove_all() {
  return impl_->thread.run([&] { return impl_->remove_all(); });
}

Result<std::vector<dataplane::Route>> read_host_routes(const std::string& run_root) {
  auto host = Host::open();
  if (!host) return tl::unexpected(host.error());
  return host_routes(*host, run_root);
}

}  // namespace berth::network
