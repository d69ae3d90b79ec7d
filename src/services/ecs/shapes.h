// Between the API's generated structs and records: how members that may be absent are read, and what both sides share.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/ecs/common.h"
#include "records/cluster.h"
#include "records/keys.h"
#include "records/task.h"

namespace berth::services::ecs {

namespace m = berth::model::ecs;

// A member as if it were there: empty where it is absent.
inline std::string text(const std::string& value) { return value; }
inline std::string text(const std::optional<std::string>& value) { return value.value_or(std::string()); }
template <class T>
const std::vector<T>& list(const std::vector<T>& value) {
  return value;
}
template <class T>
const std::vector<T>& list(const std::optional<std::vector<T>>& value) {
  static const std::vector<T> none;
  return value ? *value : none;
}
inline int number(int value, int) { return value; }
inline int number(const std::optional<int>& value, int otherwise) { return value.value_or(otherwise); }
inline bool flag(bool value, bool) { return value; }
inline bool flag(const std::optional<bool>& value, bool otherwise) { return value.value_or(otherwise); }
inline const model::StringMap& map_of(const std::optional<model::StringMap>& value) {
  static const model::StringMap none;
  return value ? *value : none;
}
inline std::string value_in(const model::StringMap& map, std::string_view key) {
  const auto found = map.find(key);
  return found == map.end() ? std::string() : found->second;
}
// Absent where the moment has not come.
inline std::optional<TimeMs> time_of(TimeMs moment) { return moment == 0 ? std::nullopt : std::optional(moment); }

records::Tags tags_of(const std::optional<std::vector<m::Tag>>& tags);
records::Tags tags_of(const std::vector<m::Tag>& tags);
std::vector<m::Tag> to_tags(const records::Tags& tags);
std::vector<records::StrategyItem> strategy_of(const std::vector<m::CapacityProviderStrategyItem>& strategy);
std::vector<m::CapacityProviderStrategyItem> to_strategy(const std::vector<records::StrategyItem>& strategy);
records::AwsvpcConfiguration network_of(const m::AwsVpcConfiguration& network);
m::NetworkConfiguration to_network(const records::AwsvpcConfiguration& network);
m::KeyValuePair pair(std::string name, std::string value);
m::Failure missing(std::string arn);  // reason MISSING

std::string root_arn(const records::Scope& scope);

}  // namespace berth::services::ecs
