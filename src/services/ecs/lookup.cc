#include "services/ecs/lookup.h"

#include "base/json.h"
#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"

namespace berth::services::ecs {
namespace {

void count(TaskCounts& counts, const records::TaskSummary& task) {
  using records::TaskState;
  if (task.state == TaskState::stopped) return;
  ++counts.active;
  if (task.desired == records::DesiredStatus::stopped) return;
  if (task.state == TaskState::running)
    ++counts.running;
  else if (task.state < TaskState::running)
    ++counts.pending;
}

// With the status of this incarnation, not that of a deleted service of the same name. Control writes it all the time: a
// change of it is no conflict with what a user asks, so no transaction remembers what was seen.
Service with_status(const Context& context, records::keys::ServicePath path,
                    std::shared_ptr<const records::ServiceSpec> spec) {
  auto status =
      records::get<records::ServiceStatus>(context.store, records::keys::service(records::keys::kServiceStatus, path));
  if (status && status->incarnation != spec->incarnation) status = nullptr;
  return {std::move(path), std::move(spec), std::move(status)};
}

}  // namespace

ApiResult<ClusterPtr> find_cluster(Work& work, std::string_view text) {
  const auto name = parse_cluster(work.scope, text);
  if (!name) return tl::unexpected(name.error());
  auto cluster = work.get<records::Cluster>(records::keys::cluster(work.scope, *name));
  if (!cluster) return cluster_not_found();
  return cluster;
}

ApiResult<ClusterPtr> find_active_cluster(Work& work, std::string_view text) {
  auto cluster = find_cluster(work, text);
  if (cluster && (*cluster)->status != "ACTIVE") return cluster_inactive();
  return cluster;
}

ApiResult<DefinitionPtr> look_up_definition(Work& work, std::string_view text) {
  const auto reference = parse_definition(work.scope, text);
  if (!reference) return tl::unexpected(reference.error());
  if (!is_name(reference->family)) return DefinitionPtr();
  int64_t revision = reference->revision.value_or(0);
  if (reference->revision_text.empty()) {
    const auto family = work.get<records::TaskFamily>(records::keys::family(work.scope, reference->family));
    revision = family ? family->latest_active_revision : 0;
  }
  if (revision == 0) return DefinitionPtr();
  auto found =
      work.get<records::TaskDefinition>(records::keys::task_definition(work.scope, reference->family, revision));
  if (found && found->status == "DELETE_IN_PROGRESS" && !definition_is_referenced(work.context, work.scope, *found))
    return DefinitionPtr();
  return found;
}

ApiResult<DefinitionPtr> find_active_definition(Work& work, std::string_view text) {
  auto found = look_up_definition(work, text);
  if (!found) return found;
  if (!*found) return client_error("TaskDefinition not found.");
  if ((*found)->status != "ACTIVE") return client_error("TaskDefinition is inactive");
  return found;
}

// A document without the member's name, which most are, is not parsed.
bool definition_has_task_role(const records::TaskDefinition& definition) {
  if (definition.document.find("\"taskRoleArn\":") == std::string::npos) return false;
  const auto document = json::parse(definition.document);
  return document && !(*document)["taskRoleArn"].string_or("").empty();
}

std::optional<int> definition_storage_gib(const records::TaskDefinition& definition) {
  if (definition.document.find("\"ephemeralStorage\":") == std::string::npos) return std::nullopt;
  const auto document = json::parse(definition.document);
  if (!document || !document->find("ephemeralStorage")) return std::nullopt;
  return static_cast<int>((*document)["ephemeralStorage"]["sizeInGiB"].int_or(20));
}

bool definition_is_referenced(const Context& context, const records::Scope& scope, const records::TaskDefinition& d) {
  if (context.tasks.using_definition(scope, d.family, d.revision) > 0) return true;
  const std::string prefix = fmt::format("{}{}/{}/", records::keys::kServiceSpec, scope.account, scope.region);
  for (const auto& [key, spec] : records::range<records::ServiceSpec>(context.store, prefix)) {
    const Service service = with_status(context, records::keys::service_path(key), spec);
    if (records::names_definition(*service.spec, service.status.get(), d.family, d.revision)) return true;
  }
  return false;
}

std::string_view Service::state() const {
  if (status && status->status == "INACTIVE") return "INACTIVE";
  return spec->deleted_at_ms != 0 ? "DRAINING" : "ACTIVE";
}

const records::Revision& Service::effective() const {
  if (status_is_current() && !status->deployments.empty()) return status->deployments.front().revision;
  return spec->target;
}

std::optional<Service> find_service(Work& work, const std::string& cluster, const std::string& name) {
  records::keys::ServicePath path{work.scope, cluster, name};
  auto spec = work.get<records::ServiceSpec>(records::keys::service(records::keys::kServiceSpec, path));
  if (!spec) return std::nullopt;
  return with_status(work.context, std::move(path), std::move(spec));
}

ApiResult<ServiceInCluster> find_service_to_change(Work& work, std::string_view cluster, std::string_view service) {
  auto in = find_active_cluster(work, cluster);
  if (!in) return tl::unexpected(in.error());
  const auto name = parse_service(work.scope, (*in)->name, service);
  if (!name) return tl::unexpected(name.error());
  auto found = find_service(work, (*in)->name, *name);
  if (!found) return service_not_found();
  return ServiceInCluster{*std::move(in), *std::move(found)};
}

void each_service(const Context& context, const records::Scope& scope, const std::string& cluster,
                  std::string_view after, const std::function<bool(const Service&)>& each) {
  const std::string prefix = records::keys::service_spec(scope, cluster, "");
  const std::string start = after.empty() ? std::string() : prefix + std::string(after);
  for (const auto& [key, spec] : records::range<records::ServiceSpec>(context.store, prefix, start)) {
    if (!each(with_status(context, {scope, cluster, spec->name}, spec))) return;
  }
}

TaskCounts count_cluster(const Context& context, const records::Scope& scope, const std::string& cluster) {
  TaskCounts counts;
  for (const auto& [id, task] : context.tasks.of_cluster(scope, cluster)) count(counts, *task);
  return counts;
}

TaskCounts count_service(const Context& context, const records::keys::ServicePath& path, std::string_view started_by) {
  TaskCounts counts;
  for (const auto& [id, task] : context.tasks.live_of_service(path))
    if (started_by.empty() || task->started_by == started_by) count(counts, *task);
  return counts;
}

}  // namespace berth::services::ecs
