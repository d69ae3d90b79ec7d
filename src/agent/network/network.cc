#include "agent/network/network.h"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>

#include "agent/network/earlier_specs.h"
#include "agent/network/file_watch.h"
#include "agent/network/host.h"
#include "agent/network/host_side.h"
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
        upstreams_(read_upstreams(options_.resolv_confs)),
        private_routes_(host_, instance_),
        public_addresses_(host_, instance_, options_.announced) {}

  const Instance& instance() const { return instance_; }

  Result<void> start() {
    if (auto entered = enter_namespace(host_.namespace_fd); !entered) return entered;
    return collect_gone();
  }

  Result<void> apply(dataplane::NetworkChange change) {
    if (!fit_for_name(change.vpc)) return fail("'" + change.vpc + "' is no VPC id");
    if (change.removed) return remove_vpc(change.vpc);
    auto known = vpcs_.find(change.vpc);
    if (change.whole && known != vpcs_.end()) {
      for (const auto& [id, interface] : known->second->value().interfaces) change.interfaces.try_emplace(id);
    }
    if (known == vpcs_.end()) {
      if (!change.structure || change.structure->cidrs.empty()) {
        return fail("the first change of " + change.vpc + " has no structure");
      }
      if (auto prepared = prepare_vpc(change.vpc, change.structure->cidrs); !prepared) return prepared;
      known = vpcs_.find(change.vpc);
    }
    Vpc& vpc = *known->second;
    const bool fresh = vpc.value().cidrs.empty();
    const std::vector<Ipv4Network> networks = vpc.value().cidrs;
    const std::set<Ipv4> before = public_addresses(vpc.value(), change);
    if (auto applied = vpc.apply(change); !applied) return applied;
    const auto published =
        public_addresses_.change(change.vpc, vpc.facts().vpc_end, before, public_addresses(vpc.value(), change));
    if (!published) return published;
    if (networks != vpc.value().cidrs) {
      if (auto written = write_record(vpc); !written) return written;
      if (auto routed = private_routes_.put(read_vpc_records(instance_)); !routed) return routed;
    }
    if (fresh) open_loopback(instance_, upstreams_);
    if (fresh && options_.vpc_changed) options_.vpc_changed(change.vpc, vpc.value().cidrs[0]);
    return {};
  }

  Result<void> remove_vpc(const std::string& vpc_id) {
    for (const VpcRecord& record : read_vpc_records(instance_)) {
      if (record.vpc_id != vpc_id) continue;
      if (options_.vpc_changed) options_.vpc_changed(vpc_id, std::nullopt);
      if (const auto known = vpcs_.find(vpc_id); known != vpcs_.end()) {
        for (const std::string& task : known->second->tasks()) (void)known->second->detach(task);
        vpcs_.erase(known);
      }
      if (auto dropped = public_addresses_.drop_all_of(vpc_id); !dropped) return dropped;
      if (auto removed = remove_vpc_objects(host_, instance_, record); !removed) return removed;
      // Its networks may be another's, who had to stand back.
      return private_routes_.put(read_vpc_records(instance_));
    }
    return {};
  }

  Result<TaskNet> attach(const std::string& vpc_id, const std::string& interface, const std::string& task_id) {
    if (!fit_for_name(task_id)) return fail("'" + task_id + "' is no task id");
    const auto vpc = vpcs_.find(vpc_id);
    if (vpc == vpcs_.end()) return fail("VPC " + vpc_id + " is not set up on this machine");
    auto net = vpc->second->attach(task_id, interface);
    if (!net) return net;
    const dataplane::VpcNet& value = vpc->second->value();
    std::vector<Ipv4Network> subnets;
    for (const auto& [id, subnet] : value.subnets) subnets.push_back(subnet.cidr);
    std::sort(subnets.begin(), subnets.end());
    net->resolvers = dataplane::resolver_addresses(value.cidrs[0], subnets);
    const size_t servers = vpc->second->facts().resolver ? 1 : upstreams_.usable.size();
    net->resolvers.resize(std::clamp<size_t>(servers, 1, net->resolvers.size()));
    return net;
  }

  Result<void> set_resolver(const std::string& vpc_id, bool present) {
    const auto vpc = vpcs_.find(vpc_id);
    if (vpc == vpcs_.end()) return fail("VPC " + vpc_id + " is not set up on this machine");
    dataplane::VpcFacts facts = vpc->second->facts();
    facts.resolver = present;
    return vpc->second->change_facts(facts);
  }

  Result<void> ensure_vpc(const VpcSpec& spec) {
    dataplane::NetworkChange change{spec.id, vpc_net_of(spec), {}};
    return apply(std::move(change));
  }

  Result<TaskNet> attach_task(const TaskNetSpec& task) {
    if (!fit_for_name(task.task_id)) return fail("'" + task.task_id + "' is no task id");
    const auto vpc = vpcs_.find(task.vpc_id);
    if (vpc == vpcs_.end()) return fail("VPC " + task.vpc_id + " is not set up on this machine");
    if (!dataplane::assignable(task.subnet, task.address)) {
      return fail(fmt::format("{} is no address for a task in subnet {} of {}", task.address.to_string(),
                              task.subnet.to_string(), task.vpc_id));
    }
    dataplane::NetworkChange change{
        task.vpc_id, {}, {{task.task_id, interface_of(task, vpc->second->facts().vpc_end)}}};
    if (auto applied = apply(std::move(change)); !applied) return tl::unexpected(applied.error());
    return attach(task.vpc_id, task.task_id, task.task_id);
  }

  Result<void> detach(const std::string& task_id) {
    if (!fit_for_name(task_id)) return fail("'" + task_id + "' is no task id");
    for (auto& [id, vpc] : vpcs_) {
      if (!vpc->has(task_id)) continue;
      if (auto detached = vpc->detach(task_id); !detached) return detached;
      // One of attach_task(), whose interface is called like it.
      return vpc->value().interfaces.contains(task_id)
                 ? apply(dataplane::NetworkChange{id, {}, {{task_id, std::nullopt}}})
                 : Result<void>{};
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
    keep(public_addresses_.collect());
    if (options_.collected) options_.collected();
    return outcome;
  }

  Result<void> refresh_resolvers() {
    const dataplane::Upstreams fresh = read_upstreams(options_.resolv_confs);
    if (fresh == upstreams_) return {};
    upstreams_ = fresh;
    if (vpcs_.empty()) return {};
    if (auto loaded = load_host_rules(instance_, upstreams_, !options_.announced); !loaded) return loaded;
    open_loopback(instance_, upstreams_);
    return {};
  }

  Result<void> remove_all() {
    auto machine = lock_file(instance_.run_root + "/lock", true);
    if (!machine) return tl::unexpected(machine.error());
    vpcs_.clear();
    return remove_instance(host_, instance_);
  }

 private:
  // Everything before the VPC's rules: its record, its link's number, the host's rules, its namespace.
  Result<void> prepare_vpc(const std::string& id, const std::vector<Ipv4Network>& networks) {
    // Between looking at links' numbers and taking one, no other instance may do the same.
    auto machine = lock_file(instance_.run_root + "/lock", true);
    if (!machine) return tl::unexpected(machine.error());
    const uint32_t link = link_number(id);
    if (link == 0) return fail(fmt::format("this machine has {} VPCs already", dataplane::kLinksMax - 1));
    if (auto written = write_vpc_record(instance_, {id, networks, link}); !written) return written;
    if (auto forwards = ensure_forwarding(instance_.run_root); !forwards) return forwards;
    if (options_.public_block) {
      if (auto claimed = claim_public_block(host_, instance_, *options_.public_block); !claimed) return claimed;
    }
    if (auto loaded = load_host_rules(instance_, upstreams_, !options_.announced); !loaded) return loaded;
    const dataplane::VpcFacts facts{dataplane::host_end_of(link), dataplane::vpc_end_of(link), options_.answer_refused};
    auto vpc = Vpc::open(host_, instance_, id, facts);
    if (!vpc) return tl::unexpected(vpc.error());
    vpcs_[id] = std::move(*vpc);
    return {};
  }

  // What the VPC has, or the lowest that none on this machine has; 0 where there is none.
  uint32_t link_number(const std::string& vpc_id) const {
    std::set<uint32_t> taken;
    for (const SeenInstance& seen : list_instances(instance_.run_root)) {
      for (const VpcRecord& record : seen.vpcs) {
        if (seen.instance.name == instance_.name && record.vpc_id == vpc_id && record.link != 0) return record.link;
        taken.insert(record.link);
      }
    }
    uint32_t free = 1;
    while (taken.contains(free)) ++free;
    return free < dataplane::kLinksMax ? free : 0;
  }

  Result<void> write_record(const Vpc& vpc) {
    return write_vpc_record(instance_, {vpc.id(), vpc.value().cidrs, link_number(vpc.id())});
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
  PrivateRoutes private_routes_;
  PublicAddresses public_addresses_;
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
  return impl_->thread.run([&] { return impl_->ensure_vpc(spec); });
}
Result<void> Network::apply(dataplane::NetworkChange change) {
  return impl_->thread.run([&] { return impl_->apply(std::move(change)); });
}
Result<TaskNet> Network::attach(const std::string& vpc_id, const std::string& interface, const std::string& task_id) {
  return impl_->thread.run([&] { return impl_->attach(vpc_id, interface, task_id); });
}
Result<void> Network::set_resolver(const std::string& vpc_id, bool present) {
  return impl_->thread.run([&] { return impl_->set_resolver(vpc_id, present); });
}
Result<void> Network::remove_vpc(const std::string& vpc_id) {
  return impl_->thread.run([&] { return impl_->remove_vpc(vpc_id); });
}
Result<TaskNet> Network::attach_task(TaskNetSpec spec) {
  return impl_->thread.run([&] { return impl_->attach_task(spec); });
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
