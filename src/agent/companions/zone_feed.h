// From records to what the resolver answers: watches Cloud Map's objects, VPCs and public addresses, and tells each change as one
// small frame. Thread: the state thread.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "resolver/zones/zones.h"
#include "state/store.h"

namespace berth::agent {

class ZoneFeed {
 public:
  // `sink` gets the changes that are committed from now on. The store is borrowed.
  ZoneFeed(state::Store& store, std::function<void(resolver::Frame)> sink);
  ~ZoneFeed();
  ZoneFeed(const ZoneFeed&) = delete;
  ZoneFeed& operator=(const ZoneFeed&) = delete;

  // Everything, between a begin and an end.
  std::vector<resolver::Frame> snapshot();

 private:
  using Changes = std::vector<resolver::Change>;
  struct Space {
    std::string vpc, name;
  };
  struct Place {
    std::string space, name;  // a namespace's id, the service's name in it
    bool custom_health = false;
    bool has_records = false;  // else only DiscoverInstances finds its instances
  };
  void batch(const state::WatchBatch& batch);
  void tell(std::string_view key, const state::ValuePtr& value, Changes& out);
  void tell_space(std::string_view key, const state::ValuePtr& value, Changes& out);
  void tell_service(std::string_view key, const state::ValuePtr& value, Changes& out);
  void tell_instance(std::string_view key, Changes& out);
  void tell_vpc(std::string_view key, const state::ValuePtr& value, Changes& out);
  void tell_host(std::string_view key, const state::ValuePtr& value, Changes& out);
  bool place(resolver::Change& change, const std::string& service_key) const;

  state::Store& store_;
  const std::function<void(resolver::Frame)> sink_;
  std::vector<state::WatchId> watches_;
  // What has been told, by key: an erased record says no more what it was.
  std::map<std::string, Space, std::less<>> spaces_;
  std::map<std::string, Place, std::less<>> services_;
  std::map<std::string, Space, std::less<>> hosts_;
};

}  // namespace berth::agent
