// What a service's handler is: a plain function that never waits, reads the state and returns an answer and a
// transaction. Handlers run one after the other on the state thread. The daemon applies the transaction and lets the
// answer leave once it, and everything the handler has read, is durable; a rolled-back one answers ServerException.
//
// An operation whose work is files rather than state (reading and writing log events) returns `later` instead: it looks
// up what it needs on the state thread, and the closure then runs on a thread of the pool that it names, where it may
// block. Its transaction, if any, is durable before the closure runs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/caller.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "records/keys.h"
#include "records/network_index.h"
#include "records/task_index.h"
#include "services/access.h"
#include "state/store.h"

namespace berth::services {

// What the machine offers, times --memory-overcommit for memory. Fixed while the daemon runs.
struct Capacity {
  int64_t memory_mib = 0;
  int64_t cpu_units = 0;  // not a limit for placement (CPU is a weight); shown by tools
};

// Where default VPCs may lie. The first region to be used gets `first_cidr`, each further one the next free block of the
// same size below; `taken` are what was seen of the host's routes and of other Berths' VPCs when the daemon started.
struct Network {
  std::string first_cidr = "172.31.0.0/16";
  std::vector<std::string> taken = {};
  // What public addresses are taken from (--public-cidr): assignPublicIp and Elastic IPs.
  Ipv4Network public_pool{{0xC6120000}, 20};  // 198.18.0.0/20 (RFC 2544)
  bool pool_announced = false;                // it was given: others on the LAN reach it
};
inline const Network kDefaultNetwork;

struct Context {
  const state::Store& store;
  const records::TaskIndex& tasks;
  const records::NetworkIndex& networks;
  const Caller& caller;
  TimeMs now_ms;
  Random& random;
  const Capacity& capacity;
  const Network& network = kDefaultNetwork;
  bool simulated_agent = false;  // tasks then say so in an attribute

  records::Scope scope() const { return {caller.account, caller.region}; }
};

// Each has its own threads and its own bound on what waits, so that one kind of slow work does not hold up another.
enum class Pool : uint8_t { logs, exec };
inline constexpr size_t kPools = 2;

template <class Out>
using Answer = ApiResult<std::shared_ptr<const Out>>;

template <class Out>
struct Handled {
  Answer<Out> answer;
  state::Transaction transaction = {};
  Pool pool = Pool::logs;  // of `later`
  std::function<Answer<Out>()> later = {};

  Handled(Answer<Out> a) : answer(std::move(a)) {}  // NOLINT: handlers return answers, errors and structs alike
  Handled(tl::unexpected<ApiError> e) : answer(std::move(e)) {}              // NOLINT
  Handled(Out out) : answer(std::make_shared<const Out>(std::move(out))) {}  // NOLINT
  Handled(Out out, state::Transaction t)
      : answer(std::make_shared<const Out>(std::move(out))), transaction(std::move(t)) {}
  // NOLINTNEXTLINE(performance-unnecessary-value-param): it is moved, which clang-tidy 14 does not see in a template
  static Handled deferred(Pool pool, std::function<Answer<Out>()> work, state::Transaction t = {}) {
    Handled handled{Answer<Out>(std::shared_ptr<const Out>())};
    handled.pool = pool;
    handled.later = std::move(work);
    handled.transaction = std::move(t);
    return handled;
  }
};

// The same with the types erased; what a registration yields and the daemon runs.
struct ErasedHandled {
  ApiResult<std::shared_ptr<const void>> answer;
  state::Transaction transaction = {};
  Pool pool = Pool::logs;
  std::function<ApiResult<std::shared_ptr<const void>>()> later = {};
};
using ErasedHandler = std::function<ErasedHandled(const Context&, const void* input)>;

// One operation as it is served.
template <class Operation>
struct Served {
  const Operation* operation;
  ErasedHandler handler;
  ErasedAccess access;
};

// Collects a service's handlers, each with what it asks of IAM; `Operation` is model::Operation, which this header need not
// know.
template <class Operation>
class Registry {
 public:
  template <class In, class Out, class F>
  void on(const Operation& operation, Access<In> access, F function) {
    ErasedAccess erased_access{access.kind, access.action, {}};
    if (access.find)
      erased_access.find = [find = std::move(access.find)](const Context& context, const void* input,
                                                           AccessQuery& query) {
        find(context, *static_cast<const In*>(input), query);
      };
    ErasedHandler handler = [function](const Context& context, const void* input) {
      Handled<Out> handled = function(context, *static_cast<const In*>(input));
      ErasedHandled erased{std::move(handled.answer), std::move(handled.transaction), handled.pool, {}};
      if (handled.later)
        erased.later = [later = std::move(handled.later)]() -> ApiResult<std::shared_ptr<const void>> {
          return later();
        };
      return erased;
    };
    handlers_.push_back({&operation, std::move(handler), std::move(erased_access)});
  }
  const std::vector<Served<Operation>>& handlers() const { return handlers_; }

 private:
  std::vector<Served<Operation>> handlers_;
};

}  // namespace berth::services
