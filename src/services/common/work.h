// One request at work: what it has read (for the transaction) and what it writes. State thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "records/read.h"
#include "services/handler.h"

namespace berth::services::common {

class Work {
 public:
  explicit Work(const Context& c) : context(c), scope(c.scope()) {
    transaction.durability = state::Durability::acknowledged;
  }

  // Null when absent. What this request writes itself is seen. The transaction remembers what else was seen, so that it is
  // refused where another came between.
  template <class T>
  std::shared_ptr<const T> get(const std::string& key) {
    if (const auto* own = written(key)) return own->value ? records::decoded<T>(own->value) : nullptr;
    const auto entry = context.store.get(key);
    transaction.reads.push_back({key, false, entry ? entry->mod_revision : 0});
    return entry ? records::decoded<T>(entry->value) : nullptr;
  }
  // All under a prefix, by key; its own writes are seen. Not among what the transaction has read.
  template <class T>
  std::map<std::string, std::shared_ptr<const T>> all(std::string_view prefix) const {
    std::map<std::string, std::shared_ptr<const T>> found;
    for (auto& [key, record] : records::range<T>(context.store, prefix)) found.emplace(key, std::move(record));
    for (const state::Write& write : transaction.writes) {
      if (!write.key.starts_with(prefix)) continue;
      if (write.value)
        found[write.key] = records::decoded<T>(write.value);
      else
        found.erase(write.key);
    }
    return found;
  }
  template <class T>
  void put(std::string key, const T& record) {
    forget(key);
    records::put(transaction, std::move(key), record);
  }
  void erase(std::string key) {
    forget(key);
    transaction.erase(std::move(key));
  }

  const Context& context;
  const records::Scope scope;
  state::Transaction transaction;

 private:
  const state::Write* written(std::string_view key) const {
    for (const state::Write& write : transaction.writes)
      if (write.key == key) return &write;
    return nullptr;
  }
  // A key is written once a transaction.
  void forget(std::string_view key) {
    std::erase_if(transaction.writes, [&](const state::Write& write) { return write.key == key; });
  }
};

}  // namespace berth::services::common
