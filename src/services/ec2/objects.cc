#include "services/ec2/objects.h"

#include <set>

#include "base/limits.h"
#include "base/random.h"
#include "services/ec2/default_vpc.h"

namespace berth::services::ec2 {
namespace {

constexpr size_t kTagKeyCharactersMax = 128;
constexpr size_t kTagValueCharactersMax = 256;

std::string token_key(const Work& work, std::string_view operation, std::string_view token) {
  return fmt::format("{}{}/{}/{}/{}", records::keys::kEc2Token, work.scope.account, work.scope.region, operation,
                     records::escape_key_part(token));
}

}  // namespace

ApiResult<void> begin(Work& work, const std::optional<bool>& dry_run) {
  if (dry_run.value_or(false))
    return tl::unexpected(ApiError{"DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412});
  ensure_default_vpc(work.context.store, work.scope, work.context.network, work.context.random, work.transaction);
  return {};
}

std::string new_id(Work& work, std::string_view prefix) {
  return std::string(prefix) + new_hex_id(work.context.random, 17);
}

ApiResult<void> check_id(const Kind& kind, std::string_view id) {
  if (id.starts_with(kind.prefix)) return {};
  return refuse(std::string(kind.malformed), fmt::format("Invalid id: \"{}\" (expecting \"{}...\")", id, kind.prefix));
}

tl::unexpected<ApiError> not_found(const Kind& kind, std::string_view id) {
  return refuse(std::string(kind.not_found), fmt::format(fmt::runtime(kind.not_found_text), id));
}

std::string arn(const Work& work, std::string_view type, std::string_view id) {
  return fmt::format("arn:aws:ec2:{}:{}:{}/{}", work.scope.region, work.scope.account, type, id);
}

tl::unexpected<ApiError> has_dependencies(std::string_view what, std::string_view id) {
  return refuse("DependencyViolation", fmt::format("The {} '{}' has dependencies and cannot be deleted.", what, id));
}

tl::unexpected<ApiError> unsupported(std::string_view what) {
  return refuse("UnsupportedOperation", fmt::format("Berth does not serve {}.", what));
}

records::Tags tags_of(Work& work, std::string_view id) {
  const auto kept = work.get<records::ResourceTags>(records::keys::ec2(records::ec2_kinds::kTags, work.scope, id));
  return kept ? kept->tags : records::Tags{};
}

std::optional<std::vector<m::Tag>> render_tags(Work& work, std::string_view id) {
  std::vector<m::Tag> out;
  for (const auto& [key, value] : tags_of(work, id)) {
    m::Tag& tag = out.emplace_back();
    tag.key = key;
    tag.value = value;
  }
  return out;
}

void put_tags(Work& work, std::string_view id, const records::Tags& tags) {
  const std::string key = records::keys::ec2(records::ec2_kinds::kTags, work.scope, id);
  if (!tags.empty())
    work.put(key, records::ResourceTags{tags});
  else if (work.context.store.get(key).has_value())
    work.erase(key);
}

ApiResult<records::Tags> merged_tags(const records::Tags& before, const records::Tags& added) {
  const auto wrong = [](std::string text) { return refuse("InvalidParameterValue", std::move(text)); };
  std::set<std::string_view> seen;
  for (const auto& [key, value] : added) {
    if (key.empty()) return wrong("Tag key cannot be empty or null.");
    if (common::is_reserved_tag(key)) return wrong("Tag keys starting with 'aws:' are reserved for internal use");
    if (common::count_characters(key) > kTagKeyCharactersMax)
      return wrong(fmt::format("Tag key exceeds the maximum length of {} characters", kTagKeyCharactersMax));
    if (common::count_characters(value) > kTagValueCharactersMax)
      return wrong(fmt::format("Tag value exceeds the maximum length of {} characters", kTagValueCharactersMax));
    if (!seen.insert(key).second) return wrong(fmt::format("Duplicate tag key '{}' specified.", key));
  }
  auto merged = common::merge_tags(before, added);
  if (common::count_own_tags(merged) > common::kTagsMax)
    return refuse("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.");
  return merged;
}

ApiResult<records::Tags> tags_at_creation(const std::optional<std::vector<m::TagSpecification>>& specifications,
                                          std::string_view resource_type) {
  records::Tags tags;
  for (const m::TagSpecification& specification : list(specifications)) {
    if (specification.resource_type.value_or("") != resource_type)
      return refuse("InvalidParameterValue", fmt::format("'{}' is not a valid taggable resource type for this operation.",
                                                         specification.resource_type.value_or("")));
    for (const m::Tag& tag : list(specification.tags)) tags.emplace_back(tag.key.value_or(""), tag.value.value_or(""));
  }
  return merged_tags({}, tags);
}

ApiResult<void> erase_group(Work& work, const records::SecurityGroup& group) {
  // Not by put_tags: its reads count among what a transaction may hold.
  std::vector<std::string> keys{key_of<records::SecurityGroup>(work, group.id)};
  const auto add_tags = [&](const std::string& id) {
    std::string key = records::keys::ec2(records::ec2_kinds::kTags, work.scope, id);
    if (work.context.store.get(key)) keys.push_back(std::move(key));
  };
  add_tags(group.id);
  const std::string rules = key_of<records::SecurityGroupRule>(work, group.id + "/");
  for (const auto& [key, rule] : work.all<records::SecurityGroupRule>(rules)) {
    keys.push_back(key);
    add_tags(rule->id);
  }
  if (keys.size() + work.transaction.reads.size() + work.transaction.writes.size() > state::kOperationsMax)
    return refuse(
        "DependencyViolation",
        fmt::format("resource {} has more rules than can be deleted with it. Revoke some of them first.", group.id));
  for (std::string& key : keys) work.erase(std::move(key));
  return {};
}

ApiResult<std::string> id_by_token(Work& work, std::string_view operation, const std::optional<std::string>& token,
                                   const std::string& hash) {
  if (!token || token->empty()) return std::string();
  if (token->size() > limits::kClientTokenBytesMax)
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter clientToken is invalid. Client tokens have at most {} characters.",
                              *token, limits::kClientTokenBytesMax));
  const auto before = work.get<records::ClientToken>(token_key(work, operation, *token));
  if (!before) return std::string();
  if (before->parameters_hash != hash || before->resource_arns.empty())
    return refuse("IdempotentParameterMismatch",
                  "The request uses the same client token as a previous, but non-identical request.");
  return before->resource_arns.front();
}

void remember_token(Work& work, std::string_view operation, const std::optional<std::string>& token,
                    const std::string& hash, const std::string& id) {
  if (token && !token->empty())
    work.put(token_key(work, operation, *token), records::ClientToken{hash, {id}, work.context.now_ms});
}

}  // namespace berth::services::ec2
