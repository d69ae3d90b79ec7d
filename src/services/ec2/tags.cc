#include "services/ec2/tags.h"

#include <algorithm>
#include <array>

#include "model/ec2/operations.h"
#include "model/ec2/tags.h"
#include "services/ec2/interfaces.h"
#include "services/ec2/quotas.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

constexpr std::array<const Kind*, 13> kKinds{
    &kKind<records::Vpc>,         &kKind<records::Subnet>,        &kKind<records::RouteTable>,
    &kKind<records::NatGateway>,  &kKind<records::Address>,       &kKind<records::InternetGateway>,
    &kKind<records::NetworkAcl>,  &kKind<records::SecurityGroup>, &kKind<records::SecurityGroupRule>,
    &kKind<records::Interface>,   &kKind<records::DhcpOptions>,   &kKind<records::PrefixList>,
    &kKind<records::VpcEndpoint>,
};

std::string tags_key(const Work& work, std::string_view id) {
  return records::keys::ec2(records::ec2_kinds::kTags, work.scope, id);
}

// Rules lie under their groups, so that an id alone does not say the key.
bool has_rule(const Work& work, std::string_view id) {
  const std::string prefix = records::keys::ec2(records::ec2_kinds::kSecurityGroupRule, work.scope, "");
  const auto rules = work.context.store.range(prefix);
  return std::any_of(rules.begin(), rules.end(), [&](const state::Entry& entry) {
    return entry.key.ends_with(id) && entry.key[entry.key.size() - id.size() - 1] == '/';
  });
}

ApiResult<void> check_resources(const Work& work, const std::vector<std::string>& ids) {
  if (ids.empty()) return refuse("MissingParameter", "The request must contain the parameter resourceIdSet");
  if (ids.size() > quotas::kTaggedResourcesOfRequest)
    return refuse("InvalidParameterValue",
                  fmt::format("A request can name at most {} resources.", quotas::kTaggedResourcesOfRequest));
  for (const std::string& id : ids) {
    const Kind* kind = kind_of_id(id);
    if (kind == nullptr) return refuse("InvalidID", fmt::format("The ID '{}' is not valid", id));
    const bool present = kind == &kKind<records::SecurityGroupRule>
                             ? has_rule(work, id)
                             : work.context.store.get(records::keys::ec2(kind->record, work.scope, id)).has_value();
    if (!present) return not_found(*kind, id);
  }
  return {};
}

// Read without being remembered: a request may name many, and nobody else writes tags.
records::Tags tags_now(const Work& work, const std::string& id) {
  const auto kept = records::get<records::ResourceTags>(work.context.store, tags_key(work, id));
  return kept ? kept->tags : records::Tags{};
}

void write_tags(Work& work, const std::string& id, const records::Tags& tags) {
  if (!tags.empty())
    work.put(tags_key(work, id), records::ResourceTags{tags});
  else if (work.context.store.get(tags_key(work, id)))
    work.erase(tags_key(work, id));
}

Handled<Nothing> create_tags(const Context& context, const m::CreateTagsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (auto checked = check_resources(work, in.resources); !checked) return tl::unexpected(checked.error());
  if (in.tags.empty()) return refuse("MissingParameter", "The request must contain the parameter tagSet");
  records::Tags added;
  for (const m::Tag& tag : in.tags) added.emplace_back(tag.key.value_or(""), tag.value.value_or(""));
  for (const std::string& id : in.resources) {
    const auto merged = merged_tags(tags_now(work, id), added);
    if (!merged) return tl::unexpected(merged.error());
    write_tags(work, id, *merged);
  }
  return {Nothing{}, std::move(work.transaction)};
}

Handled<Nothing> delete_tags(const Context& context, const m::DeleteTagsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  if (auto checked = check_resources(work, in.resources); !checked) return tl::unexpected(checked.error());
  for (const m::Tag& tag : list(in.tags))
    if (common::is_reserved_tag(tag.key.value_or("")))
      return refuse("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use");
  for (const std::string& id : in.resources) write_tags(work, id, left_tags(tags_now(work, id), in.tags));
  return {Nothing{}, std::move(work.transaction)};
}

Handled<m::DescribeTagsResult> describe_tags(const Context& context, const m::DescribeTagsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"key", "resource-id", "resource-type", "value"}); !checked)
    return tl::unexpected(checked.error());
  auto pages = pages_of(work, in);
  if (!pages) return tl::unexpected(pages.error());
  std::map<std::string, records::Tags> by_id;
  for (const auto& [key, kept] : work.all<records::ResourceTags>(tags_key(work, "")))
    by_id[key.substr(key.rfind('/') + 1)] = kept->tags;
  // Those that ECS manages are its tasks' own, and stand in no record of tags.
  for (const auto& [key, interface] : all<records::Interface>(work))
    if (interface->requester_managed) by_id[interface->id] = view_of(work, *interface).tags;
  m::DescribeTagsResult out;
  out.tags.emplace();
  for (auto& [id, tags] : by_id) {
    const Kind* kind = kind_of_id(id);
    std::sort(tags.begin(), tags.end());
    for (const auto& [key, value] : tags) {
      Filterable seen;
      seen.with("key", key).with("value", value).with("resource-id", id).with("tag-key", key).with("tag:" + key, value);
      seen.with("resource-type", std::string(kind ? kind->resource_type : ""));
      if (!seen.matches(filters) || !pages->take(fmt::format("{}/{}", id, key))) continue;
      m::TagDescription& shown = out.tags->emplace_back();
      shown.key = key;
      shown.resource_id = id;
      shown.resource_type = std::string(kind ? kind->resource_type : "");
      shown.value = value;
    }
  }
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

const Kind* kind_of_id(std::string_view id) {
  for (const Kind* kind : kKinds)
    if (id.starts_with(kind->prefix)) return kind;
  return nullptr;
}

records::Tags left_tags(const records::Tags& tags, const std::optional<std::vector<m::Tag>>& removed) {
  records::Tags left;
  for (const auto& [key, value] : tags) {
    const bool goes = removed && !removed->empty()
                          ? std::any_of(removed->begin(), removed->end(),
                                        [&, &key = key, &value = value](const m::Tag& tag) {
                                          return tag.key == key && (!tag.value || *tag.value == value);
                                        })
                          : !common::is_reserved_tag(key);
    if (!goes) left.emplace_back(key, value);
  }
  return left;
}

void add_tag_handlers(OperationRegistry& registry) {
  add(registry, m::kCreateTags, named, create_tags);
  add(registry, m::kDeleteTags, named, delete_tags);
  add(registry, m::kDescribeTags, kAnyResource, describe_tags);
}

}  // namespace berth::services::ec2
