#include "services/logs/groups.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "services/logs/lookup.h"

namespace berth::services::logs {
namespace {

constexpr size_t kTagsMax = 50;
constexpr size_t kPageDefault = 50;
constexpr std::array kRetentionDays = {1,   3,   5,   7,   14,   30,   60,   90,   120,  150,  180,
                                       365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653};

// Writes `changed` back over the group as it was found.
state::Transaction replace(const Context& context, const records::LogGroup& changed) {
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  records::put(transaction, records::keys::log_group(context.scope(), changed.name), changed);
  return transaction;
}

ApiResult<records::Tags> merge(const records::Tags& present, const model::StringMap& more) {
  records::Tags tags = present;
  for (const auto& [key, value] : more) {
    if (key.starts_with("aws:")) {
      return invalid_parameter(fmt::format("Tag keys cannot start with aws: (tag key '{}').", key));
    }
    const auto found =
        std::find_if(tags.begin(), tags.end(), [&key = key](const auto& tag) { return tag.first == key; });
    if (found != tags.end()) {
      found->second = value;
    } else {
      tags.emplace_back(key, value);
    }
  }
  if (tags.size() > kTagsMax) {
    return refuse("TooManyTagsException", fmt::format("A resource can have no more than {} tags.", kTagsMax));
  }
  return tags;
}

model::StringMap to_map(const records::Tags& tags) { return {tags.begin(), tags.end()}; }

Handled<Nothing> tag(const Context& context, const Found<records::LogGroup>& group, const model::StringMap& more) {
  if (!group) return tl::unexpected(group.error());
  auto tags = merge((*group)->tags, more);
  if (!tags) return tl::unexpected(tags.error());
  records::LogGroup changed = **group;
  changed.tags = std::move(*tags);
  return {Nothing{}, replace(context, changed)};
}

Handled<Nothing> untag(const Context& context, const Found<records::LogGroup>& group,
                       const std::vector<std::string>& keys) {
  if (!group) return tl::unexpected(group.error());
  records::LogGroup changed = **group;
  std::erase_if(changed.tags,
                [&](const auto& tag) { return std::find(keys.begin(), keys.end(), tag.first) != keys.end(); });
  return {Nothing{}, replace(context, changed)};
}

// "arn:aws:logs:<region>:<account>:log-group:<name>", with ":*" or without.
Found<records::LogGroup> find_by_arn(const Context& context, const std::string& arn) {
  if (!arn.starts_with("arn:")) return invalid_parameter(fmt::format("Invalid ARN: {}", arn));
  const auto name = group_name_of(context, arn);
  if (!name) return tl::unexpected(name.error());
  return find_group(context, *name);
}

Handled<Nothing> set_retention(const Context& context, const std::string& name, int days) {
  const auto group = find_group(context, name);
  if (!group) return tl::unexpected(group.error());
  records::LogGroup changed = **group;
  changed.retention_days = days;
  return {Nothing{}, replace(context, changed)};
}

m::LogGroup render(const Context& context, const records::LogGroup& group) {
  m::LogGroup out;
  out.log_group_name = group.name;
  out.creation_time = group.created_at_ms;
  if (group.retention_days != 0) out.retention_in_days = group.retention_days;
  out.metric_filter_count = 0;
  out.log_group_arn = group_arn(context.scope(), group.name);
  out.arn = *out.log_group_arn + ":*";
  out.stored_bytes = 0;
  out.log_group_class = group.log_group_class;
  out.deletion_protection_enabled = false;
  return out;
}

// Which groups the request asks for, by name.
ApiResult<std::vector<std::shared_ptr<const records::LogGroup>>> select(const Context& context,
                                                                        const m::DescribeLogGroupsRequest& in) {
  if (in.log_group_name_prefix && in.log_group_name_pattern) {
    return invalid_parameter("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  }
  std::vector<std::shared_ptr<const records::LogGroup>> groups;
  if (in.log_group_class && *in.log_group_class != "STANDARD") return groups;
  if (in.log_group_identifiers) {
    if (in.log_group_name_prefix || in.log_group_name_pattern) {
      return invalid_parameter("logGroupIdentifiers cannot be combined with a name prefix or a name pattern.");
    }
    for (const std::string& identifier : *in.log_group_identifiers) {
      const auto name = group_name_of(context, identifier);
      if (!name) return tl::unexpected(name.error());
      if (auto group = find_group(context, *name)) groups.push_back(std::move(*group));
    }
  } else {
    const std::string prefix = records::keys::log_group(context.scope(), in.log_group_name_prefix.value_or(""));
    for (auto& [key, group] : records::range<records::LogGroup>(context.store, prefix)) {
      if (in.log_group_name_pattern && group->name.find(*in.log_group_name_pattern) == std::string::npos) continue;
      groups.push_back(std::move(group));
    }
  }
  // Keys escape '/', so their order is not quite that of the names.
  std::sort(groups.begin(), groups.end(), [](const auto& a, const auto& b) { return a->name < b->name; });
  return groups;
}

}  // namespace

Handled<Nothing> create_log_group(const Context& context, const m::CreateLogGroupRequest& in) {
  const std::string key = records::keys::log_group(context.scope(), in.log_group_name);
  if (context.store.get(key)) {
    return refuse("ResourceAlreadyExistsException", "The specified log group already exists");
  }
  records::LogGroup group;
  if (in.tags) {
    auto tags = merge({}, *in.tags);
    if (!tags) return tl::unexpected(tags.error());
    group.tags = std::move(*tags);
  }
  group.name = in.log_group_name;
  group.uid = new_hex_id(context.random, 16);
  group.created_at_ms = context.now_ms;
  state::Transaction transaction = replace(context, group);
  sweep_deleted(context.store, transaction);
  return {Nothing{}, std::move(transaction)};
}

Handled<Nothing> delete_log_group(logstore::LogStore& store, const Context& context,
                                  const m::DeleteLogGroupRequest& in) {
  const auto group = find_group(context, in.log_group_name);
  if (!group) return tl::unexpected(group.error());
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  transaction.erase(records::keys::log_group(context.scope(), in.log_group_name));
  // Its streams may be more than a transaction takes: the marker says that they are to go, bit by bit.
  transaction.put(deleted_group_key(context.scope(), (*group)->uid), "{}");
  return Handled<Nothing>::deferred(
      Pool::logs,
      [&store, uid = (*group)->uid]() -> Answer<Nothing> {
        // What cannot be removed now is collected at the next start.
        (void)store.remove_group(uid);
        return std::make_shared<const Nothing>();
      },
      std::move(transaction));
}

Handled<m::DescribeLogGroupsResponse> describe_log_groups(logstore::LogStore& store, const Context& context,
                                                          const m::DescribeLogGroupsRequest& in) {
  auto groups = select(context, in);
  if (!groups) return tl::unexpected(groups.error());
  const std::string question =
      fmt::format("groups {} {} {} {}", context.scope().account, context.scope().region,
                  in.log_group_name_prefix.value_or(""), in.log_group_name_pattern.value_or(""));
  const auto after = open_page_token(question, in.next_token);
  if (!after) return tl::unexpected(after.error());

  const size_t size = in.limit ? static_cast<size_t>(*in.limit) : kPageDefault;
  m::DescribeLogGroupsResponse out;
  out.log_groups.emplace();
  std::vector<std::string> uids;
  for (const auto& group : *groups) {
    if (!after->empty() && group->name <= *after) continue;
    if (uids.size() == size) {
      out.next_token = page_token(question, *out.log_groups->back().log_group_name);
      break;
    }
    out.log_groups->push_back(render(context, *group));
    uids.push_back(group->uid);
  }
  return Handled<m::DescribeLogGroupsResponse>::deferred(
      Pool::logs, [&store, out = std::move(out), uids = std::move(uids)]() -> Answer<m::DescribeLogGroupsResponse> {
        auto answer = std::make_shared<m::DescribeLogGroupsResponse>(out);
        for (size_t i = 0; i < uids.size(); ++i) {
          (*answer->log_groups)[i].stored_bytes = static_cast<int64_t>(store.stored_bytes(uids[i]));
        }
        return answer;
      });
}

Handled<Nothing> put_retention_policy(const Context& context, const m::PutRetentionPolicyRequest& in) {
  if (std::find(kRetentionDays.begin(), kRetentionDays.end(), in.retention_in_days) == kRetentionDays.end()) {
    return invalid_parameter(
        fmt::format("1 validation error detected: Value '{}' at 'retentionInDays' failed to satisfy constraint: "
                    "Member must satisfy enum value set: [{}]",
                    in.retention_in_days, fmt::join(kRetentionDays, ", ")));
  }
  return set_retention(context, in.log_group_name, in.retention_in_days);
}

Handled<Nothing> delete_retention_policy(const Context& context, const m::DeleteRetentionPolicyRequest& in) {
  return set_retention(context, in.log_group_name, 0);
}

Handled<Nothing> tag_log_group(const Context& context, const m::TagLogGroupRequest& in) {
  return tag(context, find_group(context, in.log_group_name), in.tags);
}

Handled<Nothing> untag_log_group(const Context& context, const m::UntagLogGroupRequest& in) {
  return untag(context, find_group(context, in.log_group_name), in.tags);
}

Handled<m::ListTagsLogGroupResponse> list_tags_log_group(const Context& context, const m::ListTagsLogGroupRequest& in) {
  const auto group = find_group(context, in.log_group_name);
  if (!group) return tl::unexpected(group.error());
  m::ListTagsLogGroupResponse out;
  out.tags = to_map((*group)->tags);
  return out;
}

Handled<Nothing> tag_resource(const Context& context, const m::TagResourceRequest& in) {
  return tag(context, find_by_arn(context, in.resource_arn), in.tags);
}

Handled<Nothing> untag_resource(const Context& context, const m::UntagResourceRequest& in) {
  return untag(context, find_by_arn(context, in.resource_arn), in.tag_keys);
}

Handled<m::ListTagsForResourceResponse> list_tags_for_resource(const Context& context,
                                                               const m::ListTagsForResourceRequest& in) {
  const auto group = find_by_arn(context, in.resource_arn);
  if (!group) return tl::unexpected(group.error());
  m::ListTagsForResourceResponse out;
  out.tags = to_map((*group)->tags);
  return out;
}

}  // namespace berth::services::logs
