#include "control/loop/control.h"

#include "control/loop/discovery_controller.h"
#include "control/loop/host_controller.h"
#include "control/loop/retention.h"

namespace berth::control {

Control::Control(state::Store& store, records::TaskIndex& index, const records::NetworkIndex& addresses, Random& random,
                 const Settings& settings, NetworkController::Sink sink)
    : hosts_(store, index) {
  auto networks = std::make_unique<NetworkController>(store, addresses, std::move(sink));
  auto tasks = std::make_unique<TaskController>(store, index, addresses, hosts_, *networks, random, settings);
  auto services = std::make_unique<ServiceController>(store, index, hosts_, random, *tasks, settings);
  auto hosts = std::make_unique<HostController>(store, index, *tasks, settings);
  networks_ = networks.get();
  tasks_ = tasks.get();
  services_ = services.get();
  tasks_->tell([services = services_](const auto& path, const auto& service, const auto* before, const auto& after) {
    services->task_decided(path, service, before, after);
  });
  std::vector<std::unique_ptr<Controller>> controllers;
  controllers.push_back(std::move(networks));
  controllers.push_back(std::move(hosts));
  controllers.push_back(std::move(tasks));
  controllers.push_back(std::move(services));
  controllers.push_back(std::make_unique<DiscoveryController>(store));
  controllers.push_back(std::make_unique<Retention>(store, index, settings.retention));
  loop_ = std::make_unique<Loop>(store, settings, std::move(controllers));
}

}  // namespace berth::control
