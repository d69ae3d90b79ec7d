// Names the branches that are seldom taken, so that the simulator can tell which of them its seeds have reached. In the
// daemon nobody listens. An interface passed as an argument, no global: two simulations may run beside each other.
#pragma once

#include <string_view>

namespace berth {

class RareBranches {
 public:
  virtual ~RareBranches() = default;
  virtual void taken(std::string_view name) = 0;
};

inline void rare(RareBranches* listener, std::string_view name) {
  if (listener) listener->taken(name);
}

}  // namespace berth
