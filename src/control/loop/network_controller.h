// Networks: builds from records what a host's network should be, and hands on what changed (dataplane::NetworkChange). Writes
// nothing. Objects are VPCs and interfaces, by their keys.
//
// A VPC is handed on from the moment that a task is placed in it until it is deleted: one in which nothing runs costs nothing. A
// change of a rule, a route or a subnet costs one look at its VPC's structure, a change of an interface that interface.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "control/loop/controller.h"
#include "control/network/vpc_net.h"
#include "dataplane/host_network.h"
#include "records/keys.h"
#include "records/network_index.h"

namespace berth::control {

class NetworkController final : public Controller {
 public:
  // Called on the state thread, in the order in which changes must take effect.
  using Sink = std::function<void(dataplane::NetworkChange)>;

  // The store and the index are borrowed and outlive it.
  NetworkController(const state::Store& store, const records::NetworkIndex& index, Sink sink)
      : store_(store), index_(index), sink_(std::move(sink)) {}

  // A task was placed with this interface, and its order is in the same transaction: the interface is handed on in this run, before
  // any host can see the order.
  void placed(const records::Scope& scope, const records::Interface& interface);

  // What was handed on so far, as records have it now. Costs as much as the network is large: for people who ask.
  dataplane::HostNetwork network() const;

  std::vector<std::string_view> prefixes() const override;
  void begin_again() override;
  void changed(const state::Change& change) override;
  void decide(const std::string& key, TimeMs now_ms) override;

 private:
  struct Known {  // of an object that was handed on, or belongs to one that was: its VPC once it is gone
    std::string vpc_key;
    std::string interface_key;                              // of an Elastic IP: what it is associated with
    std::pair<state::Revision, state::Revision> revisions;  // of an interface and of its Elastic IP, as handed on
  };
  void concern_vpc(const std::string& vpc_key);
  std::string vpc_of(std::string_view kind, const state::Change& change) const;
  void decide_vpc(const std::string& key);
  void decide_interface(const std::string& key);
  network::VpcRecords gather(const std::string& key, std::shared_ptr<const records::Vpc> vpc) const;
  struct Seen {
    dataplane::InterfaceNet net;
    std::pair<state::Revision, state::Revision> revisions;
  };
  std::optional<Seen> see(const std::string& key) const;

  const state::Store& store_;
  const records::NetworkIndex& index_;
  Sink sink_;
  std::set<std::string> in_use_;  // VPCs, by key
  std::set<std::string> fresh_;   // of these, whose interfaces have not been handed on yet
  std::map<std::string, Known> known_;
};

}  // namespace berth::control
