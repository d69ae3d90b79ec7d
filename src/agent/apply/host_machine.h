// This machine: images, network and supervisors behind the seam of machine.h. Calls come on the agent's thread; what
// may block runs on workers, and their answers come back as events of the agent's loop.
//
// What lies where, beside what taskdir/paths.h draws:
//   <state>/tasks/<id>/network/{hosts,hostname,resolv.conf}   bound into each container
//   <state>/tasks/<id>/observed                               TaskObserved as of the launch: an adopted task goes on from it
//   <state>/task-logs/<group>/<stream>/                       of containers without a logConfiguration, see task_plan.h
//   <state>/logs/<group uid>/<stream uid>/                    the log store
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/apply/image_volumes.h"
#include "agent/apply/machine.h"
#include "agent/apply/task_plan.h"
#include "agent/event_loop.h"
#include "agent/images/image_store.h"
#include "agent/network/network.h"
#include "agent/runtime/container_spec.h"
#include "agent/runtime/filters.h"
#include "agent/supervise/launch_cgroups.h"
#include "agent/supervise/supervisors.h"
#include "base/clock.h"
#include "base/workers.h"
#include "dataplane/host_network.h"

namespace berth::agent {

class HostMachine final : public Machine {
 public:
  struct Parts {
    EventLoop& loop;
    Supervisors& supervisors;
    images::ImageStore& images;
    network::Network& network;
    const Clock& clock;
    Host host;
    std::string state_directory;
    std::string init_program;
    runtime::Filters& filters;  // the agent's thread only
    LaunchCgroups& cgroups;
  };
  explicit HostMachine(Parts parts);

  void prepare_images(const std::string& task_id, std::vector<std::string> names,
                      std::function<void(Prepared)> done) override;
  void cancel_images(const std::string& task_id) override;
  void attach(const Assignment& assigned, std::optional<Ipv4> address,
              std::function<void(Result<std::pair<network::TaskNet, Ipv4>>)> done) override;
  void detach(const Assignment& assigned, std::function<void()> done) override;
  Result<std::vector<Uncreatable>> supervise(const Launch& launch) override;
  void start(const std::string& task_id, uint32_t container, uint32_t attempt) override;
  void stop(const std::string& task_id, const std::string& why) override;
  void kill(const std::string& task_id, const std::string& why) override;
  void execute(const std::string& task_id, uint32_t container, std::vector<std::string> command, uint32_t timeout_ms,
               std::function<void(Executed)> done) override;
  void remove(const std::string& task_id) override;
  void wake_at(TimeMs when_ms, std::function<void()> callback) override;
  TimeMs now_ms() const override { return parts_.clock.now_ms(); }

  // What the host's network should be from now on, in the order of the calls; attach() comes behind what was applied before it.
  // Any thread.
  void apply(dataplane::NetworkChange change);
  // Once, when every adopted task has asked for its network: takes away what no task of `live` has.
  void collect_network(std::set<std::string> live);
  // The same for the tasks' cgroups: those that there are, read before anything is launched, and those that no task
  // has.
  std::vector<std::string> cgroups() const { return parts_.cgroups.present(); }
  void collect_cgroups(std::vector<std::string> task_ids) { parts_.cgroups.collect(std::move(task_ids)); }
  // The text beside the plan of a task found at start; empty where there is none.
  std::string observed_at_launch(const std::string& task_id) const;
  void remove_own_logs(const std::string& task_id);
  // From the supervisors, by way of the agent.
  void executed(const taskdir::Reply& reply);
  void gone(const std::string& task_id);  // commands of its that have no answer yet will have none

 private:
  // A task whose images are not all here.
  struct Preparing {
    std::vector<std::string> names;
    Prepared prepared;  // the images of the first names
    std::function<void(Prepared)> done;
    images::ImageStore::PullId pull = 0;
    bool cancelled = false;
  };
  void prepare_next(const std::string& task_id);
  void pulled(const std::string& task_id, const Result<void>& result);
  std::string task_directory(const std::string& task_id) const;
  std::string logs_directory() const;
  Result<void> write_files(const Launch& launch);
  Result<std::string> config(const Launch& launch, const std::vector<ImageVolume>& volumes, size_t container);
  Result<std::vector<Bundle>> bundles(const Launch& launch, std::vector<Uncreatable>& uncreatable);
  void tell_of_cut_limits(const std::string& task_id, const runtime::ContainerSpec& spec);
  void command(const std::string& task_id, const taskdir::Command& command);

  Parts parts_;
  struct Execution {
    std::string task_id;
    std::function<void(Executed)> done;
  };
  uint64_t last_execution_ = 0;
  bool told_of_cut_limits_ = false;
  std::map<uint64_t, Execution> executions_;
  std::map<std::string, Preparing> preparing_;  // by task
  Workers files_worker_{"files", 1};
  Workers network_worker_{"network", 1};  // last: it ends before what its jobs touch
};

}  // namespace berth::agent
