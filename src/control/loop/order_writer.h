// Orders to hosts, and the log groups and streams that they name, as writes of the transaction that decides them: an order is
// there exactly where the status says so.
#pragma once

#include <string>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"
#include "records/host.h"
#include "records/keys.h"
#include "records/task.h"
#include "records/task_definition.h"
#include "state/store.h"

namespace berth::control {

class OrderWriter {
 public:
  // Both are borrowed and outlive it.
  OrderWriter(const state::Store& store, Random& random) : store_(store), random_(random) {}

  // The order to run a task that `status` has placed; its interface's record is there, or in the transaction already. The error's context is the reason why it cannot run anywhere.
  Result<void> add_run(state::Transaction& transaction, const records::keys::TaskPath& path,
                       const records::TaskSpec& spec, const records::TaskDefinition& definition,
                       const records::TaskStatus& status, TimeMs now_ms) const;
  static void add_stop(state::Transaction& transaction, const records::keys::TaskPath& path,
                       const records::TaskStatus& status);
  // STOPPED: nothing more is asked of the host.
  static void add_over(state::Transaction& transaction, const records::keys::TaskPath& path,
                       const records::TaskStatus& status);
  // The task's record goes, and with it what the host kept of it.
  static void add_forget(state::Transaction& transaction, const records::keys::TaskPath& path,
                         const records::TaskStatus& status);

  // Of tasks that were placed before there were hosts: all of them are on `host`. Returns how many.
  size_t take_over(state::Store& store, const records::Host& host, TimeMs now_ms) const;

 private:
  Result<void> add_logs(state::Transaction& transaction, const records::keys::TaskPath& path,
                        records::TaskOrder& order, bool make, TimeMs now_ms) const;
  Result<records::OrderLog> log_of(state::Transaction& transaction, const records::keys::TaskPath& path,
                                   const std::string& container, const records::AwsLogs& logs, bool make,
                                   TimeMs now_ms) const;
  Result<records::TaskOrder> order(const state::Transaction& transaction, const records::keys::TaskPath& path, const records::TaskSpec& spec,
                                   const records::TaskDefinition& definition, const records::TaskStatus& status) const;

  const state::Store& store_;
  Random& random_;
};

}  // namespace berth::control
