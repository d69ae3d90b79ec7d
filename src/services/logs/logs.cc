#include "services/logs/logs.h"

#include <fmt/format.h>

#include <set>

#include "model/logs/operations.h"
#include "services/logs/access.h"
#include "services/logs/events.h"
#include "services/logs/groups.h"
#include "services/logs/lookup.h"
#include "services/logs/streams.h"

namespace berth::services::logs {
namespace {

constexpr std::string_view kGroups = "logs/group/";
constexpr std::string_view kStreams = "logs/stream/";
constexpr size_t kForgottenMax = 100;  // writes of one transaction, those for deleted groups among them

using RegistryOf = Registry<model::Operation>;

template <class In, class Out>
void add(RegistryOf& registry, const model::Operation& operation, std::type_identity_t<Access<In>> access,
         Handled<Out> (*handler)(const Context&, const In&)) {
  registry.on<In, Out>(operation, std::move(access), handler);
}

template <class In, class Out>
void add(RegistryOf& registry, const model::Operation& operation, std::type_identity_t<Access<In>> access,
         logstore::LogStore& store, Handled<Out> (*handler)(logstore::LogStore&, const Context&, const In&)) {
  registry.on<In, Out>(operation, std::move(access),
                       [&store, handler](const Context& context, const In& in) { return handler(store, context, in); });
}

}  // namespace

void add_handlers(RegistryOf& registry, logstore::LogStore& store) {
  add(registry, m::kCreateLogGroup, access::create_log_group, create_log_group);
  add(registry, m::kDeleteLogGroup, access::of_group, store, delete_log_group);
  add(registry, m::kDescribeLogGroups, access::describe_log_groups, store, describe_log_groups);
  add(registry, m::kPutRetentionPolicy, access::of_group, put_retention_policy);
  add(registry, m::kDeleteRetentionPolicy, access::of_group, delete_retention_policy);
  add(registry, m::kCreateLogStream, access::of_stream, create_log_stream);
  add(registry, m::kDeleteLogStream, access::of_stream, store, delete_log_stream);
  add(registry, m::kDescribeLogStreams, access::of_group, store, describe_log_streams);
  add(registry, m::kPutLogEvents, access::of_stream, store, put_log_events);
  add(registry, m::kGetLogEvents, access::of_stream, store, get_log_events);
  registry.on<m::FilterLogEventsRequest, m::FilterLogEventsResponse>(
      m::kFilterLogEvents, access::of_group<m::FilterLogEventsRequest>,
      [&store, names = std::make_shared<StreamNames>()](const Context& context, const m::FilterLogEventsRequest& in) {
        return filter_log_events(store, *names, context, in);
      });
  add(registry, m::kTagLogGroup, access::of_group, tag_log_group);
  add(registry, m::kUntagLogGroup, access::of_group, untag_log_group);
  add(registry, m::kListTagsLogGroup, access::of_group, list_tags_log_group);
  add(registry, m::kTagResource, access::of_arn, tag_resource);
  add(registry, m::kUntagResource, access::of_arn, untag_resource);
  add(registry, m::kListTagsForResource, access::of_arn, list_tags_for_resource);
}

namespace {

// Streams of a group with a retention: AWS keeps them, empty, for ever; a machine with a busy service would have a
// million in a year. Those that were made by API stay, for who made them may go on writing to them.
void forget_streams(const state::Store& state, logstore::LogStore& store, const std::string& group_key,
                    const records::LogGroup& group, TimeMs expiry, Maintenance& out,
                    std::vector<std::string>& forgotten) {
  const std::set<std::string> empty = store.streams_without_events(group.uid);
  if (empty.empty()) return;
  const std::string rest = group_key.substr(kGroups.size());  // "<account>/<region>/<name>"
  const size_t name = rest.find('/', rest.find('/') + 1) + 1;
  for (const auto& [key, stream] :
       records::range<records::LogStream>(state, fmt::format("{}{}{}/", kStreams, rest.substr(0, name), group.uid))) {
    if (out.transaction.writes.size() >= kForgottenMax) return;
    if (stream->task.empty() || stream->created_at_ms >= expiry || !empty.contains(stream->uid)) continue;
    if (state.get(std::string(records::keys::kTaskSpec) + stream->task)) continue;
    out.transaction.erase(key);
    forgotten.push_back(stream->uid);
  }
}

}  // namespace

Maintenance maintain(const state::Store& state, logstore::LogStore& store, TimeMs now_ms) {
  Maintenance out;
  sweep_deleted(state, out.transaction);
  std::set<std::string> present;
  std::vector<std::pair<std::string, TimeMs>> expiring;
  std::vector<std::pair<std::string, std::vector<std::string>>> forgotten;
  for (const auto& [key, group] : records::range<records::LogGroup>(state, kGroups)) {
    present.insert(group->uid);
    if (group->retention_days == 0) continue;
    const TimeMs expiry = expiry_ms(*group, now_ms);
    expiring.emplace_back(group->uid, expiry);
    std::vector<std::string> streams;
    forget_streams(state, store, key, *group, expiry, out, streams);
    if (!streams.empty()) forgotten.emplace_back(group->uid, std::move(streams));
  }
  // Groups that are being deleted have no record any more; those made after this have no directory yet.
  std::set<std::string> known = store.group_uids();
  std::erase_if(known, [&](const std::string& uid) { return present.contains(uid); });
  out.work = [&store, expiring = std::move(expiring), forgotten = std::move(forgotten), gone = std::move(known)] {
    for (const std::string& uid : gone) (void)store.remove_group(uid);
    for (const auto& [group, streams] : forgotten)
      for (const std::string& uid : streams) (void)store.remove_stream(group, uid);
    for (const auto& [uid, older_than] : expiring) store.expire(uid, older_than);
  };
  return out;
}

}  // namespace berth::services::logs
