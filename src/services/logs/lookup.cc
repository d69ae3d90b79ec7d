#include "services/logs/lookup.h"

#include <fmt/format.h>

#include <limits>


namespace berth::services::logs {
namespace {

constexpr std::string_view kDeletedPrefix = "logs/deleted/";
constexpr size_t kSweptMax = 64;
constexpr TimeMs kDayMs = 24 * 60 * 60 * 1000;

}  // namespace

tl::unexpected<ApiError> invalid_parameter(std::string message) {
  return refuse("InvalidParameterException", std::move(message));
}

tl::unexpected<ApiError> not_found(std::string what) {
  return refuse("ResourceNotFoundException", fmt::format("The specified {} does not exist.", what));
}

std::string group_arn(const records::Scope& scope, std::string_view name) {
  return fmt::format("arn:aws:logs:{}:{}:log-group:{}", scope.region, scope.account, name);
}

std::string stream_arn(const records::Scope& scope, std::string_view group, std::string_view stream) {
  return fmt::format("{}:log-stream:{}", group_arn(scope, group), stream);
}

Found<records::LogGroup> find_group(const Context& context, std::string_view name) {
  auto group = records::get<records::LogGroup>(context.store, records::keys::log_group(context.scope(), name));
  if (!group) return not_found("log group");
  return group;
}

ApiResult<std::string> group_name_of(const Context& context, std::string_view identifier) {
  if (!identifier.starts_with("arn:")) return std::string(identifier);
  if (identifier.ends_with(":*")) identifier.remove_suffix(2);
  const std::string own = group_arn(context.scope(), "");
  if (!identifier.starts_with(own) || identifier.size() == own.size() ||
      identifier.find(':', own.size()) != identifier.npos) {
    return invalid_parameter(
        fmt::format("The ARN {} is not that of a log group in this account and region.", identifier));
  }
  return std::string(identifier.substr(own.size()));
}

Found<records::LogGroup> find_group(const Context& context, const std::optional<std::string>& name,
                                    const std::optional<std::string>& identifier) {
  if (name.has_value() == identifier.has_value()) {
    return invalid_parameter("Exactly one of logGroupName and logGroupIdentifier must be specified.");
  }
  if (name) return find_group(context, *name);
  const auto named = group_name_of(context, *identifier);
  if (!named) return tl::unexpected(named.error());
  return find_group(context, *named);
}

Found<records::LogStream> find_stream(const Context& context, const records::LogGroup& group, std::string_view name) {
  auto stream =
      records::get<records::LogStream>(context.store, records::keys::log_stream(context.scope(), group.uid, name));
  if (!stream) return not_found("log stream");
  return stream;
}

std::string streams_prefix(const records::Scope& scope, std::string_view group_uid) {
  return records::keys::log_stream(scope, group_uid, "");
}

std::vector<std::shared_ptr<const records::LogStream>> streams_of(const Context& context,
                                                                  const records::LogGroup& group,
                                                                  std::string_view name_prefix) {
  std::vector<std::shared_ptr<const records::LogStream>> streams;
  for (auto& [key, stream] : records::range<records::LogStream>(
           context.store, records::keys::log_stream(context.scope(), group.uid, name_prefix))) {
    streams.push_back(std::move(stream));
  }
  return streams;
}

TimeMs expiry_ms(const records::LogGroup& group, TimeMs now_ms) {
  return group.retention_days == 0 ? std::numeric_limits<TimeMs>::min() : now_ms - group.retention_days * kDayMs;
}

ApiResult<std::string> open_page_token(std::string_view question, const std::optional<std::string>& token) {
  if (!token) return std::string();
  auto last = common::open_page_token(question, *token);
  if (!last) return invalid_parameter("The specified nextToken is invalid.");
  return *std::move(last);
}

std::string deleted_group_key(const records::Scope& scope, std::string_view uid) {
  return fmt::format("{}{}/{}/{}", kDeletedPrefix, scope.account, scope.region, uid);
}

void sweep_deleted(const state::Store& state, state::Transaction& transaction) {
  const auto markers = state.range(kDeletedPrefix, {}, 1);
  if (markers.empty()) return;
  // "logs/deleted/<account>/<region>/<uid>" goes after the last of "logs/stream/<account>/<region>/<uid>/…".
  const std::string rest = markers[0].key.substr(kDeletedPrefix.size());
  const auto left = state.range("logs/stream/" + rest + "/", {}, kSweptMax);
  for (const state::Entry& entry : left) transaction.erase(entry.key);
  if (left.size() < kSweptMax) transaction.erase(markers[0].key);
}

}  // namespace berth::services::logs
