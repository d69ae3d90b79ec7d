// What the command line asks for over the socket in the state directory: tasks, images, where logs lie, and to end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "agent/images/image_store.h"
#include "base/json.h"
#include "base/workers.h"
#include "dataplane/host_network.h"
#include "front/api.h"
#include "front/state_thread.h"
#include "records/keys.h"
#include "wire/admin.h"

namespace berth::admin {

// Tasks that are not STOPPED, of every region. State thread, or after it has ended.
int64_t tasks_left(const state::Store& store);

class Admin {
 public:
  struct Needs {
    front::World& world;
    std::string state_directory;
    std::string endpoint;
    std::string account;
    std::string region;
    images::ImageStore* images;  // null with the simulated agent
    front::StateThread& state_thread;
    std::function<void(bool)> hold_services;  // state thread
    std::function<void()> end;                // any thread
    // What runs in VPCs. State thread; nothing where none is told.
    std::function<dataplane::HostNetwork()> network = {};
  };
  explicit Admin(Needs needs) : needs_(std::move(needs)) {}

  void serve(wire::AdminEndpoint& endpoint);
  // State thread, after each round: answers those who follow a task, and `stop --stop-tasks` when all have stopped.
  void answer_those_who_wait();
  // State thread, once, when the daemon ends: answers whoever waits for what the next daemon will see.
  void end();

 private:
  using CallPtr = std::shared_ptr<wire::AdminCall>;
  void on_state_thread(wire::AdminEndpoint& endpoint, const char* method, const char* path,
                       void (Admin::*handler)(const CallPtr&));
  void on_worker(wire::AdminEndpoint& endpoint, const char* path,
                 Result<json::Value> (Admin::*handler)(const json::Value&));

  void about(const CallPtr& call);
  void tasks(const CallPtr& call);
  void task(const CallPtr& call);
  // Someone who follows a task's logs: answered when it has more than `beyond` log streams, or has stopped.
  struct Follower {
    records::keys::TaskPath path;
    int64_t beyond;
    CallPtr call;
  };
  bool told(const Follower& follower) const;
  json::Array log_streams(const records::keys::TaskPath& path) const;
  void task_logs(CallPtr call, const records::keys::TaskPath& path);
  void images(const CallPtr& call);
  void net(const CallPtr& call);
  void net_why(const CallPtr& call);
  void stop(const CallPtr& call);
  void stop_tasks(const CallPtr& call);
  void give_up_stop();
  Result<json::Value> load_image(const json::Value& body);
  void pull_image(std::unique_ptr<wire::AdminCall> call);
  Result<json::Value> remove_image(const json::Value& body);

  Needs needs_;
  std::vector<CallPtr> stops_;  // wait for all tasks to stop
  std::vector<Follower> followers_;
  bool ending_ = false;
  // Loads and removals: they may take minutes, and nothing else waits behind them. Last: its jobs end before what
  // they touch.
  Workers image_workers_{"image-calls", 4};
};

}  // namespace berth::admin
