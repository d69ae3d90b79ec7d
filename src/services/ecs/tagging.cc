// TagResource, UntagResource, ListTagsForResource over clusters, services, tasks and task definitions.
#include "services/ecs/tagging.h"

#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/lookup.h"
#include "services/ecs/tags.h"
#include "services/ecs/task_render.h"

namespace berth::services::ecs {
namespace {

// The tags of a resource, and how changed ones are written back.
struct Tagged {
  records::Tags tags;
  std::function<void(records::Tags)> write;
};
constexpr const char* kNotFound = "The specified resource could not be found.";

std::optional<Tagged> find(Work& work, const Taggable& which) {
  namespace keys = records::keys;
  // Writes the record back with other tags.
  auto of = [&](std::string key, auto record) -> std::optional<Tagged> {
    if (!record) return std::nullopt;
    return Tagged{record->tags, [&work, key = std::move(key), record](records::Tags tags) {
                    auto changed = *record;
                    changed.tags = std::move(tags);
                    work.put(key, changed);
                  }};
  };
  switch (which.kind) {
    case Taggable::Kind::cluster: {
      const std::string key = keys::cluster(work.scope, which.name);
      auto record = work.get<records::Cluster>(key);
      return record && record->status == "ACTIVE" ? of(key, record) : std::nullopt;
    }
    case Taggable::Kind::service: {
      const auto service = find_service(work, which.cluster, which.name);
      if (!service || service->state() == "INACTIVE") return std::nullopt;
      return of(keys::service(keys::kServiceSpec, service->path), service->spec);
    }
    case Taggable::Kind::task_definition: {
      const std::string key = keys::task_definition(work.scope, which.name, which.revision);
      return of(key, work.get<records::TaskDefinition>(key));
    }
    case Taggable::Kind::task: break;
  }
  const keys::TaskPath path{work.scope, which.cluster, which.name};
  const auto spec = records::get<records::TaskSpec>(work.context.store, keys::task(keys::kTaskSpec, path));
  if (!spec) return std::nullopt;
  // A task's spec belongs to its creator; changed tags have a key of their own.
  const std::string key = keys::task(keys::kTaskTags, path);
  const auto changed = work.get<records::TaskTags>(key);
  return Tagged{changed ? changed->tags : spec->tags,
                [&work, key](records::Tags tags) { work.put(key, records::TaskTags{std::move(tags)}); }};
}

}  // namespace

Handled<m::TagResourceResponse> tag_resource(const Context& context, const m::TagResourceRequest& in) {
  Work work(context);
  const auto which = parse_taggable(work.scope, in.resource_arn);
  if (!which) return tl::unexpected(which.error());
  if (in.tags.empty()) return invalid_parameter("Tags can not be empty.");
  const auto tags = tags_of(in.tags);
  if (auto checked = check_tags(tags); !checked) return tl::unexpected(checked.error());
  const auto found = find(work, *which);
  if (!found) return refuse("ResourceNotFoundException", kNotFound);
  const auto merged = merge_tags(found->tags, tags);
  if (count_own_tags(merged) > kTagsMax) return invalid_parameter("tags can have at most 50 items.");
  if (merged != found->tags) found->write(merged);
  return {m::TagResourceResponse{}, std::move(work.transaction)};
}

Handled<m::UntagResourceResponse> untag_resource(const Context& context, const m::UntagResourceRequest& in) {
  Work work(context);
  const auto which = parse_taggable(work.scope, in.resource_arn);
  if (!which) return tl::unexpected(which.error());
  for (const std::string& key : in.tag_keys)
    if (count_own_tags({{key, ""}}) == 0)
      return invalid_parameter(fmt::format("Tag keys and values cannot start with aws: (tag key '{}').", key));
  const auto found = find(work, *which);
  if (!found) return refuse("ResourceNotFoundException", kNotFound);
  const auto left = without_tags(found->tags, in.tag_keys);
  if (left != found->tags) found->write(left);
  return {m::UntagResourceResponse{}, std::move(work.transaction)};
}

Handled<m::ListTagsForResourceResponse> list_tags_for_resource(const Context& context,
                                                               const m::ListTagsForResourceRequest& in) {
  Work work(context);
  const auto which = parse_taggable(work.scope, in.resource_arn);
  if (!which) return tl::unexpected(which.error());
  const auto found = find(work, *which);
  if (!found) return invalid_parameter(kNotFound);
  m::ListTagsForResourceResponse out;
  out.tags = to_tags(found->tags);
  return out;
}

}  // namespace berth::services::ecs
