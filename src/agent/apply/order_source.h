// Follows what a host is told (records/host.h) and hands it to the host's agent. State thread.
#pragma once

#include <string>

#include "agent/apply/order.h"
#include "records/keys.h"
#include "state/store.h"

namespace berth::agent {

class OrderSource {
 public:
  // Store and sink are borrowed and outlive it.
  OrderSource(state::Store& store, OrderSink& sink, std::string host);
  ~OrderSource();

  // Hands over what is there and follows what comes.
  void start();

 private:
  void follow(const std::string& prefix, state::Revision from);
  void changed(const state::Change& change);
  std::vector<Assignment> all(state::Revision stops_until) const;
  // Stops that were written later than `stops_until` come by the watch when they are committed: what the agent gives back must not
  // go before the decision is on the disk.
  Assignment assignment(const records::keys::TaskPath& path, const state::Entry& order,
                        state::Revision stops_until) const;

  state::Store& store_;
  OrderSink& sink_;
  const std::string host_, orders_, stops_;  // the host's id, and the prefixes of its keys
  std::vector<state::WatchId> watches_;
};

}  // namespace berth::agent
