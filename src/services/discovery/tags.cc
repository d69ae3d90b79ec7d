#include <algorithm>

#include "services/discovery/families.h"

namespace berth::services::discovery {
namespace {

tl::unexpected<ApiError> not_found(const std::string& arn) {
  return refuse("ResourceNotFoundException", fmt::format("The resource {} was not found.", arn));
}

// Calls `change` with the tags of what the ARN names; where it changes them, the transaction writes them.
template <class F>
ApiResult<state::Transaction> with_tags(const Context& context, const std::string& arn, F change) {
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  const auto on = [&](auto found, std::string_view kind, std::string_view key_kind) -> ApiResult<void> {
    if (!found || arn != records::discovery_arn(context.scope(), kind, (*found)->id)) return not_found(arn);
    auto changed = **found;
    ApiResult<bool> did = change(changed.tags);
    if (!did) return tl::unexpected(did.error());
    if (*did) records::put(transaction, keys::discovery(key_kind, context.scope(), changed.id), changed);
    return {};
  };
  const bool space = arn.find(":namespace/") != arn.npos;
  const auto done = space ? on(find_namespace(context, arn), "namespace", keys::kNamespace)
                          : on(find_service(context, arn), "service", keys::kDiscoveryService);
  if (!done) return tl::unexpected(done.error());
  return transaction;
}

}  // namespace

Handled<m::TagResourceResponse> tag_resource(const Context& context, const m::TagResourceRequest& in) {
  auto transaction = with_tags(context, in.resource_arn, [&](records::Tags& tags) -> ApiResult<bool> {
    auto merged = tags_of(in.tags, tags, in.resource_arn);
    if (!merged) return tl::unexpected(merged.error());
    tags = std::move(*merged);
    return true;
  });
  if (!transaction) return tl::unexpected(transaction.error());
  return {m::TagResourceResponse{}, std::move(*transaction)};
}

Handled<m::UntagResourceResponse> untag_resource(const Context& context, const m::UntagResourceRequest& in) {
  auto transaction = with_tags(context, in.resource_arn, [&](records::Tags& tags) -> ApiResult<bool> {
    return std::erase_if(tags, [&](const auto& tag) {
             return std::find(in.tag_keys.begin(), in.tag_keys.end(), tag.first) != in.tag_keys.end();
           }) > 0;
  });
  if (!transaction) return tl::unexpected(transaction.error());
  return {m::UntagResourceResponse{}, std::move(*transaction)};
}

Handled<m::ListTagsForResourceResponse> list_tags_for_resource(const Context& context,
                                                               const m::ListTagsForResourceRequest& in) {
  m::ListTagsForResourceResponse out;
  out.tags.emplace();
  const auto found = with_tags(context, in.resource_arn, [&](const records::Tags& tags) -> ApiResult<bool> {
    for (const auto& [key, value] : tags) out.tags->push_back({key, value});
    return false;
  });
  if (!found) return tl::unexpected(found.error());
  return out;
}

}  // namespace berth::services::discovery
