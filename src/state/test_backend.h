// A backend under the conformance suite, with the faults that the suite plays.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "state/head_store.h"

namespace berth::state {

class Backend {
 public:
  virtual ~Backend() = default;
  virtual void open() = 0;
  virtual Store& store() = 0;
  virtual void settle_all() = 0;    // until everything applied is committed or rolled back, and delivered
  virtual void fail_commits() = 0;  // as on a full disk, until
  virtual void heal_commits() = 0;
  virtual void restart() = 0;  // as a new process over the same disk
};

struct BackendFactory {
  std::string name;
  std::function<std::unique_ptr<Backend>()> make;
};

std::vector<BackendFactory> backend_factories();

}  // namespace berth::state
