// Task definitions: Register, Describe, Deregister, Delete, List, ListFamilies.
//
// A definition in DELETE_IN_PROGRESS is gone as soon as no running task and no service refers to it: look-ups and lists
// take such a record for absent. Control erases it some time later, when no stopped task shows its containers either.
#include "services/ecs/task_definitions.h"

#include <algorithm>

#include "base/json.h"
#include "services/ecs/definition_record.h"
#include "services/ecs/definition_rules.h"
#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/kept.h"
#include "services/ecs/lookup.h"
#include "services/ecs/paging.h"
#include "services/ecs/tags.h"

namespace berth::services::ecs {
namespace {

using records::TaskDefinition;
using records::TaskFamily;

constexpr size_t kDeletionsMax = 10;
constexpr size_t kDocumentBytesMax = 64 * 1024;

void add_moment(std::string& json, std::string_view name, TimeMs moment) {
  if (moment == 0) return;
  fmt::format_to(std::back_inserter(json), ",\"{}\":", name);
  if (moment % 1000 == 0)
    json::append_int(json, moment / 1000);
  else
    json::append_double(json, static_cast<double>(moment) / 1000.0);
}

// The kept document with what may have changed since. The hot path of DescribeTaskDefinition: one copy, no tree.
std::string render(const TaskDefinition& definition) {
  std::string json;
  json.reserve(definition.document.size() + 96);
  json.append(definition.document, 0, definition.document.size() - 1);  // without the last brace
  json += ",\"status\":\"";
  json += definition.status;
  json += '"';
  add_moment(json, "deregisteredAt", definition.deregistered_at_ms);
  add_moment(json, "deleteRequestedAt", definition.delete_requested_at_ms);
  json += '}';
  return json;
}

model::Rendered<m::TaskDefinition> rendered(const TaskDefinition& definition) {
  return {{}, std::make_shared<const std::string>(render(definition))};
}

bool logs_block_by_default(Work& work) {
  for (const std::string& principal : {work.context.caller.arn, root_arn(work.scope)})
    if (const auto set =
            work.get<records::AccountSetting>(records::keys::setting(work.scope, principal, "defaultLogDriverMode")))
      return set->value == "blocking";
  return false;
}

bool is_gone(const Context& context, const records::Scope& scope, const TaskDefinition& definition) {
  return definition.status == "DELETE_IN_PROGRESS" && !definition_is_referenced(context, scope, definition);
}

bool has_definitions(const Context& context, const records::Scope& scope, const std::string& family) {
  const std::string prefix = records::keys::task_definitions(scope, family);
  for (const auto& [key, definition] : records::range<TaskDefinition>(context.store, prefix))
    if (!is_gone(context, scope, *definition)) return true;
  return false;
}

int64_t latest_active_below(const Context& context, const records::Scope& scope, const std::string& family,
                            int64_t revision) {
  while (--revision > 0) {
    const auto found =
        records::get<TaskDefinition>(context.store, records::keys::task_definition(scope, family, revision));
    if (found && found->status == "ACTIVE") return revision;
  }
  return 0;
}

ApiResult<DefinitionPtr> find_revision(Work& work, const std::string& text, std::string_view why_not) {
  const auto reference = parse_definition(work.scope, text);
  if (!reference) return tl::unexpected(reference.error());
  if (reference->revision_text.empty()) return client_error("Revision is missing.");
  if (!reference->revision)
    return invalid_parameter(fmt::format("Invalid revision number. Number: {}", reference->revision_text));
  auto found = look_up_definition(work, text);
  if (found && !*found) return client_error(std::string(why_not));
  return found;
}

}  // namespace

Handled<m::RegisterTaskDefinitionResponse> register_task_definition(const Context& context,
                                                                    const m::RegisterTaskDefinitionRequest& in) {
  if (auto checked = check_definition(in); !checked) return tl::unexpected(checked.error());
  Work work(context);
  const std::string family_key = records::keys::family(work.scope, in.family);
  const auto before = work.get<TaskFamily>(family_key);
  TaskFamily family = before ? *before : TaskFamily{};
  family.latest_active_revision = ++family.latest_revision;

  const Registration how{work.scope, context.caller.arn, context.now_ms, family.latest_revision,
                         logs_block_by_default(work)};
  const auto document = definition_document(in, how);
  TaskDefinition record = definition_record(document, how);
  record.document = to_kept(document);
  if (record.document.size() > kDocumentBytesMax)
    return client_error("Actual length of the task definition exceeds the maximum of 65536 bytes.");
  record.not_served = not_served_text(in);
  record.tags = tags_of(in.tags);
  work.put(family_key, family);
  work.put(records::keys::task_definition(work.scope, record.family, record.revision), record);

  m::RegisterTaskDefinitionResponse out;
  out.task_definition = rendered(record);
  if (in.tags) out.tags = to_tags(record.tags);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::DescribeTaskDefinitionResponse> describe_task_definition(const Context& context,
                                                                    const m::DescribeTaskDefinitionRequest& in) {
  Work work(context);
  const auto found = look_up_definition(work, in.task_definition);
  if (!found) return tl::unexpected(found.error());
  if (!*found) return client_error("Unable to describe task definition.");
  m::DescribeTaskDefinitionResponse out;
  out.task_definition = rendered(**found);
  const auto& include = list(in.include);
  const bool with_tags = std::find(include.begin(), include.end(), "TAGS") != include.end();
  out.tags = to_tags(with_tags ? (*found)->tags : records::Tags{});
  return out;
}

Handled<m::DeregisterTaskDefinitionResponse> deregister_task_definition(const Context& context,
                                                                        const m::DeregisterTaskDefinitionRequest& in) {
  Work work(context);
  const auto found = find_revision(work, in.task_definition, "Unable to describe task definition.");
  if (!found) return tl::unexpected(found.error());
  TaskDefinition changed = **found;
  if (changed.status == "ACTIVE") {
    changed.status = "INACTIVE";
    changed.deregistered_at_ms = context.now_ms;
    const std::string family_key = records::keys::family(work.scope, changed.family);
    TaskFamily family = *work.get<TaskFamily>(family_key);
    if (family.latest_active_revision == changed.revision) {
      family.latest_active_revision = latest_active_below(context, work.scope, changed.family, changed.revision);
      work.put(family_key, family);
    }
    work.put(records::keys::task_definition(work.scope, changed.family, changed.revision), changed);
  }
  m::DeregisterTaskDefinitionResponse out;
  out.task_definition = rendered(changed);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::DeleteTaskDefinitionsResponse> delete_task_definitions(const Context& context,
                                                                  const m::DeleteTaskDefinitionsRequest& in) {
  if (in.task_definitions.empty())
    return invalid_parameter("size of TaskDefinition references list must be greater than 0");
  if (in.task_definitions.size() > kDeletionsMax)
    return invalid_parameter("Size of TaskDefinition references list cannot exceed 10");
  Work work(context);
  m::DeleteTaskDefinitionsResponse out;
  out.task_definitions.emplace();
  out.failures.emplace();
  auto failed = [&](const std::string& text, std::string reason) {
    auto& failure = out.failures->emplace_back(missing(text));
    failure.reason = std::move(reason);
  };
  for (const std::string& text : in.task_definitions) {
    const auto found = find_revision(work, text, "The specified task definition does not exist.");
    if (!found) {
      failed(text, found.error().message);
      continue;
    }
    TaskDefinition changed = **found;
    if (changed.status == "ACTIVE") {
      failed(text,
             "The specified task definition is still in ACTIVE status. Please deregister the target and try again.");
      continue;
    }
    changed.status = "DELETE_IN_PROGRESS";
    if (changed.delete_requested_at_ms == 0) changed.delete_requested_at_ms = context.now_ms;
    work.put(records::keys::task_definition(work.scope, changed.family, changed.revision), changed);
    work.put(records::keys::leaving_definition(work.scope, changed.family, changed.revision),
             records::LeavingDefinition{changed.delete_requested_at_ms});
    out.task_definitions->push_back(from_kept<m::TaskDefinition>(render(changed)));
  }
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::ListTaskDefinitionsResponse> list_task_definitions(const Context& context,
                                                              const m::ListTaskDefinitionsRequest& in) {
  const auto scope = context.scope();
  const std::string wanted_family = text(in.family_prefix), status = in.status.value_or("ACTIVE");
  const bool descending = text(in.sort) == "DESC";
  auto pager = Pager::open(scope, fmt::format("ListTaskDefinitions/{}/{}/{}", wanted_family, status, descending),
                           in.next_token, in.max_results);
  if (!pager) return tl::unexpected(pager.error());
  // Families by name, revisions by number; the model calls a whole family's name a prefix.
  std::vector<std::string> families;
  const std::string family_prefix = records::keys::family(scope, "");
  for (const auto& entry : context.store.range(family_prefix)) {
    std::string name = entry.key.substr(family_prefix.size());
    if (wanted_family.empty() || name == wanted_family) families.push_back(std::move(name));
  }
  if (descending) std::reverse(families.begin(), families.end());
  // "<family>:<revision, 10 digits>": where the page before ended.
  const std::string& start = pager->start();
  const std::string start_family = start.substr(0, start.find(':'));
  for (const std::string& family : families) {
    if (!start.empty() && (descending ? family > start_family : family < start_family)) continue;
    const std::string prefix = records::keys::task_definitions(scope, family);
    const std::string begin = family == start_family ? prefix + start.substr(start.find(':') + 1) : std::string();
    auto entries = context.store.range(prefix, descending ? std::string_view() : begin);
    if (descending) std::reverse(entries.begin(), entries.end());
    for (const auto& entry : entries) {
      if (descending && !begin.empty() && entry.key >= begin) continue;
      // Decoded one by one: a page of a family with thousands of revisions costs a page.
      const auto definition = records::decoded<TaskDefinition>(entry.value);
      const std::string position = fmt::format("{}:{:010}", family, definition->revision);
      if (definition->status != status || is_gone(context, scope, *definition)) continue;
      if (!pager->add(position, records::task_definition_arn(scope, family, definition->revision))) {
        Page page = std::move(*pager).finish();
        return m::ListTaskDefinitionsResponse{std::move(page.items), std::move(page.next_token)};
      }
    }
  }
  Page page = std::move(*pager).finish();
  return m::ListTaskDefinitionsResponse{std::move(page.items), std::move(page.next_token)};
}

Handled<m::ListTaskDefinitionFamiliesResponse> list_task_definition_families(
    const Context& context, const m::ListTaskDefinitionFamiliesRequest& in) {
  const auto scope = context.scope();
  const std::string wanted = text(in.family_prefix), status = in.status.value_or("ALL");
  auto pager = Pager::open(scope, fmt::format("ListTaskDefinitionFamilies/{}/{}", wanted, status), in.next_token,
                           in.max_results);
  if (!pager) return tl::unexpected(pager.error());
  const std::string all = records::keys::family(scope, "");
  const std::string after = pager->start().empty() ? std::string() : all + pager->start();
  for (const auto& [key, family] : records::range<TaskFamily>(context.store, all + wanted, after)) {
    const bool active = family->latest_active_revision != 0;
    if ((status == "ACTIVE" && !active) || (status == "INACTIVE" && active)) continue;
    const std::string name = key.substr(all.size());
    // A family keeps its record, and its revision numbers, after its last definition has been deleted.
    if (!active && !has_definitions(context, scope, name)) continue;
    if (!pager->add(name, name)) break;
  }
  Page page = std::move(*pager).finish();
  return m::ListTaskDefinitionFamiliesResponse{std::move(page.items), std::move(page.next_token)};
}

}  // namespace berth::services::ecs
