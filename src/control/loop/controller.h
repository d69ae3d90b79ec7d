// What the loop runs: something that watches keys, knows which of its objects a change concerns, and decides for one object at a
// time. Tasks, services, networks and what is over are controllers; load balancers and scaling are further ones.
//
// An object is named by text of the controller's own (a task's path, a service's path, a VPC's key). How often it is decided
// follows what changed: once for any number of changes that came together.
//
// Thread: the state thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "state/store.h"

namespace berth::control {

// A controller's own list of what it has to decide, and when. Kept by the loop; valid as long as the loop.
class Agenda {
 public:
  virtual ~Agenda() = default;
  virtual void now(const std::string& object) = 0;               // in this run
  virtual void at(const std::string& object, TimeMs at_ms) = 0;  // its one timer; 0 takes it away
};

class Controller {
 public:
  virtual ~Controller() = default;

  // Called by the loop once, before anything else.
  void use(Agenda& agenda) { agenda_ = &agenda; }

  virtual std::vector<std::string_view> prefixes() const = 0;
  // Puts every object that there is on the agenda, which is empty: at start, and after commits have failed, when nothing that was
  // kept beside the store holds any more.
  virtual void begin_again() = 0;
  // Of a key under one of its prefixes: puts the objects that it concerns on the agenda.
  virtual void changed(const state::Change& change) = 0;
  // Before the loop looks at the agenda, each time: for what waits for something that no key tells, such as memory.
  virtual void look() {}
  // Commits a plan, or finds that nothing is to be done. Met a conflict, or did only a part: puts the object on the agenda again.
  virtual void decide(const std::string& object, TimeMs now_ms) = 0;
  // Nothing more to decide at `now_ms` for anybody: work that may be put off. Returns when it wants to be called again: 0 for not
  // before something changes.
  virtual TimeMs idle(TimeMs) { return 0; }

 protected:
  Agenda& agenda() { return *agenda_; }

 private:
  Agenda* agenda_ = nullptr;
};

}  // namespace berth::control
