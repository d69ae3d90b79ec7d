// Clusters and account settings. Writer: services/ecs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"

namespace berth::records {

using Tags = std::vector<std::pair<std::string, std::string>>;  // in the order given; keys unique

struct StrategyItem {
  std::string capacity_provider;
  int weight = 0;
  int base = 0;

  bool operator==(const StrategyItem&) const = default;
  template <class A>
  void fields(A& a) {
    a("capacityProvider", capacity_provider), a("weight", weight), a("base", base);
  }
};

struct Cluster {
  std::string name;
  std::string status = "ACTIVE";  // or INACTIVE: deleted, still describable
  std::vector<std::pair<std::string, std::string>> settings;
  std::vector<std::string> capacity_providers;
  std::vector<StrategyItem> default_strategy;
  Tags tags;
  std::string kept;  // JSON: members of class "kept" in API shape (configuration, serviceConnectDefaults)
  TimeMs created_at_ms = 0;
  TimeMs inactive_at_ms = 0;

  template <class A>
  void fields(A& a) {
    a("name", name), a("status", status), a("settings", settings), a("capacityProviders", capacity_providers);
    a("defaultStrategy", default_strategy), a("tags", tags), a("kept", kept), a("createdAt", created_at_ms);
    a("inactiveAt", inactive_at_ms);
  }
};

struct AccountSetting {
  std::string name;
  std::string value;
  std::string principal_arn;  // "default" account-wide values are kept under the root principal

  template <class A>
  void fields(A& a) {
    a("name", name), a("value", value), a("principalArn", principal_arn);
  }
};

// What an idempotency token answered. Same token and same parameters: the same answer; other parameters: Conflict.
struct ClientToken {
  std::string parameters_hash;
  std::vector<std::string> resource_arns;
  TimeMs created_at_ms = 0;

  template <class A>
  void fields(A& a) {
    a("hash", parameters_hash), a("arns", resource_arns), a("createdAt", created_at_ms);
  }
};

}  // namespace berth::records
