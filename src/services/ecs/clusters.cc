// Clusters: Create, Describe, List, Update, UpdateSettings, Delete, PutClusterCapacityProviders.
#include "services/ecs/clusters.h"

#include <algorithm>
#include <set>

#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/kept.h"
#include "services/ecs/launch.h"
#include "services/ecs/paging.h"
#include "services/ecs/settings_table.h"
#include "services/ecs/shapes.h"
#include "services/ecs/tags.h"

namespace berth::services::ecs {
namespace {

using records::Cluster;
using Settings = std::vector<std::pair<std::string, std::string>>;

constexpr size_t kClustersDescribedMax = 100;
constexpr size_t kProvidersMax = 20;

// Berth's extension beside AWS's containerInsights: the platform's design names managedScaling as a cluster setting.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kClusterSettings{
    {{"containerInsights", "enhanced|enabled|disabled"}, {"managedScaling", "enabled|disabled"}}};

Settings settings_of(const std::vector<m::ClusterSetting>& settings) {
  Settings out;
  for (const auto& setting : settings) out.emplace_back(text(setting.name), text(setting.value));
  return out;
}

std::vector<m::ClusterSetting> to_settings(const Settings& settings) {
  std::vector<m::ClusterSetting> out;
  for (const auto& [name, value] : settings) {
    auto& setting = out.emplace_back();
    setting.name = name;
    setting.value = value;
  }
  return out;
}

ApiResult<void> check_settings(const Settings& settings) {
  for (const auto& [name, value] : settings) {
    const auto rule = std::find_if(kClusterSettings.begin(), kClusterSettings.end(),
                                   [&name = name](const auto& known) { return known.first == name; });
    if (rule == kClusterSettings.end()) return invalid_parameter("Invalid setting 'name'");
    if (!is_one_of(rule->second, value)) return invalid_parameter("Invalid setting 'value'");
  }
  return {};
}

Settings merge_settings(Settings under, const Settings& over) { return merge_tags(std::move(under), over); }

ApiResult<void> check_providers(const std::vector<std::string>& providers) {
  if (providers.size() > kProvidersMax)
    return invalid_parameter("The maximum number of capacity providers per cluster has been exceeded.");
  for (const std::string& name : providers)
    if (!is_fargate_provider(name))
      return invalid_parameter(
          "The specified capacity provider was not found. Specify a valid capacity provider and try again");
  return {};
}

ApiResult<void> check_configuration(const std::optional<m::ClusterConfiguration>& configuration) {
  if (!configuration || !configuration->execute_command_configuration) return {};
  const auto& exec = *configuration->execute_command_configuration;
  if (exec.logging == "OVERRIDE" && !exec.log_configuration)
    return invalid_parameter("LogConfiguration must be provided when logging is set to OVERRIDE.");
  return {};
}

// What the account says for clusters that say nothing.
std::string insights_default(Work& work) {
  for (const std::string& principal : {work.context.caller.arn, root_arn(work.scope)})
    if (const auto set =
            work.get<records::AccountSetting>(records::keys::setting(work.scope, principal, "containerInsights")))
      return set->value;
  return "disabled";
}

// `under`, the JSON of a Cluster with nothing but kept members, with those that a request gives put over it.
std::string kept_members(const std::string& under, const std::optional<m::ClusterConfiguration>& configuration,
                         const std::optional<m::ClusterServiceConnectDefaultsRequest>& service_connect) {
  auto kept = from_kept<m::Cluster>(under);
  if (configuration) kept.configuration = configuration;
  if (service_connect) kept.service_connect_defaults.emplace().namespace_ = service_connect->namespace_;
  return kept == m::Cluster{} ? std::string() : to_kept(kept);
}

template <class T>
bool consistent(const T& given, const T& present) {
  return given.empty() || given == present;
}

// A repeated CreateCluster answers with the cluster, as long as nothing that it says is otherwise.
bool is_same_request(const m::CreateClusterRequest& in, const Cluster& present) {
  Cluster wanted = present;
  wanted.settings = merge_settings(present.settings, settings_of(list(in.settings)));
  return consistent(tags_of(in.tags), present.tags) && wanted.settings == present.settings &&
         consistent(list(in.capacity_providers), present.capacity_providers) &&
         consistent(strategy_of(list(in.default_capacity_provider_strategy)), present.default_strategy) &&
         kept_members(present.kept, in.configuration, in.service_connect_defaults) == present.kept;
}

struct Include {
  bool attachments = false, configurations = false, settings = false, statistics = false, tags = false;
  static Include all() { return {true, true, true, true, true}; }
};

Include include_of(const std::vector<std::string>& names) {
  auto has = [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  return {has("ATTACHMENTS"), has("CONFIGURATIONS"), has("SETTINGS"), has("STATISTICS"), has("TAGS")};
}

struct ServiceCounts {
  int active = 0, draining = 0;
};

ServiceCounts count_services(const Context& context, const std::string& cluster) {
  ServiceCounts counts;
  each_service(context, context.scope(), cluster, {}, [&](const Service& service) {
    counts.active += service.state() == "ACTIVE";
    counts.draining += service.state() == "DRAINING";
    return true;
  });
  return counts;
}

std::vector<m::KeyValuePair> statistics_of(const TaskCounts& tasks, const ServiceCounts& services) {
  std::vector<m::KeyValuePair> out;
  auto add = [&](const char* name, int value) {
    m::KeyValuePair pair;
    pair.name = name;
    pair.value = std::to_string(value);
    out.push_back(std::move(pair));
  };
  add("runningEC2TasksCount", 0);
  add("runningFargateTasksCount", tasks.running);
  add("pendingEC2TasksCount", 0);
  add("pendingFargateTasksCount", tasks.pending);
  add("activeEC2ServiceCount", 0);
  add("activeFargateServiceCount", services.active);
  add("drainingEC2ServiceCount", 0);
  add("drainingFargateServiceCount", services.draining);
  return out;
}

m::Cluster render(const Context& context, const Cluster& cluster, const Include& include) {
  auto out = from_kept<m::Cluster>(cluster.kept);
  const auto scope = context.scope();
  out.cluster_arn = records::cluster_arn(scope, cluster.name);
  out.cluster_name = cluster.name;
  out.status = cluster.status;
  const bool active = cluster.status == "ACTIVE";
  const TaskCounts tasks = active ? count_cluster(context, scope, cluster.name) : TaskCounts{};
  const ServiceCounts services = active ? count_services(context, cluster.name) : ServiceCounts{};
  out.registered_container_instances_count = 0;
  out.running_tasks_count = tasks.running;
  out.pending_tasks_count = tasks.pending;
  out.active_services_count = services.active;
  out.statistics.emplace();
  if (include.statistics) out.statistics = statistics_of(tasks, services);
  out.tags = to_tags(include.tags ? cluster.tags : records::Tags{});
  out.settings = to_settings(include.settings ? cluster.settings : Settings{});
  out.capacity_providers = cluster.capacity_providers;
  out.default_capacity_provider_strategy = to_strategy(cluster.default_strategy);
  if (!include.configurations) out.configuration.reset();
  return out;
}

// After a change the answer shows all that the cluster is.
template <class Out>
Handled<Out> answer_with(Work& work, const Cluster& cluster) {
  Out out;
  out.cluster = render(work.context, cluster, Include::all());
  return Handled<Out>(std::move(out), std::move(work.transaction));
}

bool provider_is_in_use(const Context& context, const std::string& cluster, const std::string& provider) {
  const auto scope = context.scope();
  for (const auto& [id, task] : context.tasks.of_cluster(scope, cluster))
    if (task->capacity_provider == provider && task->state != records::TaskState::stopped) return true;
  bool used = false;
  each_service(context, scope, cluster, {}, [&](const Service& service) {
    if (service.state() != "INACTIVE")
      for (const auto& item : service.effective().strategy) used = used || item.capacity_provider == provider;
    return !used;
  });
  return used;
}

}  // namespace

Handled<m::CreateClusterResponse> create_cluster(const Context& context, const m::CreateClusterRequest& in) {
  Work work(context);
  const std::string name = in.cluster_name.value_or("default");
  if (!is_name(name))
    return invalid_parameter(fmt::format("Cluster must match ^[a-zA-Z0-9\\-_]{{1,255}}$, but was {}", name));
  if (in.tags && in.tags->empty()) return invalid_parameter("Tags can not be empty.");
  const auto tags = tags_of(in.tags);
  const auto settings = settings_of(list(in.settings));
  const auto providers = list(in.capacity_providers);
  const auto strategy = strategy_of(list(in.default_capacity_provider_strategy));
  for (const auto& checked :
       {check_tags(tags), check_settings(settings), check_providers(providers),
        check_strategy(strategy, providers, StrategyOf::cluster_default), check_configuration(in.configuration)})
    if (!checked) return tl::unexpected(checked.error());

  const std::string key = records::keys::cluster(work.scope, name);
  if (const auto present = work.get<Cluster>(key); present && present->status == "ACTIVE") {
    if (!is_same_request(in, *present))
      return invalid_parameter(
          "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).");
    return answer_with<m::CreateClusterResponse>(work, *present);
  }
  Cluster made;
  made.name = name;
  made.settings = merge_settings({{"containerInsights", insights_default(work)}}, settings);
  made.capacity_providers = providers;
  made.default_strategy = strategy;
  made.tags = tags;
  made.kept = kept_members({}, in.configuration, in.service_connect_defaults);
  made.created_at_ms = context.now_ms;
  work.put(key, made);
  return answer_with<m::CreateClusterResponse>(work, made);
}

Handled<m::DescribeClustersResponse> describe_clusters(const Context& context, const m::DescribeClustersRequest& in) {
  Work work(context);
  std::vector<std::string> names = list(in.clusters);
  if (names.empty()) names.push_back("default");
  if (names.size() > kClustersDescribedMax) return invalid_parameter("clusters can have at most 100 items.");
  const Include include = include_of(list(in.include));
  m::DescribeClustersResponse out;
  out.clusters.emplace();
  out.failures.emplace();
  for (const std::string& text : names) {
    const auto name = parse_cluster(work.scope, text);
    if (!name) return tl::unexpected(name.error());
    if (const auto cluster = records::get<Cluster>(context.store, records::keys::cluster(work.scope, *name)))
      out.clusters->push_back(render(context, *cluster, include));
    else
      out.failures->push_back(missing(records::cluster_arn(work.scope, *name)));
  }
  return out;
}

Handled<m::ListClustersResponse> list_clusters(const Context& context, const m::ListClustersRequest& in) {
  const auto scope = context.scope();
  auto pager = Pager::open(scope, "ListClusters", in.next_token, in.max_results);
  if (!pager) return tl::unexpected(pager.error());
  const std::string prefix = records::keys::cluster(scope, "");
  const std::string after = pager->start().empty() ? std::string() : prefix + pager->start();
  for (const auto& [key, cluster] : records::range<Cluster>(context.store, prefix, after)) {
    if (cluster->status != "ACTIVE") continue;
    if (!pager->add(cluster->name, records::cluster_arn(scope, cluster->name))) break;
  }
  Page page = std::move(*pager).finish();
  m::ListClustersResponse out;
  out.cluster_arns = std::move(page.items);
  out.next_token = std::move(page.next_token);
  return out;
}

Handled<m::UpdateClusterResponse> update_cluster(const Context& context, const m::UpdateClusterRequest& in) {
  Work work(context);
  const auto found = find_active_cluster(work, in.cluster);
  if (!found) return tl::unexpected(found.error());
  const auto settings = settings_of(list(in.settings));
  for (const auto& checked : {check_settings(settings), check_configuration(in.configuration)})
    if (!checked) return tl::unexpected(checked.error());
  Cluster changed = **found;
  changed.settings = merge_settings(changed.settings, settings);
  changed.kept = kept_members(changed.kept, in.configuration, in.service_connect_defaults);
  work.put(records::keys::cluster(work.scope, changed.name), changed);
  return answer_with<m::UpdateClusterResponse>(work, changed);
}

Handled<m::UpdateClusterSettingsResponse> update_cluster_settings(const Context& context,
                                                                  const m::UpdateClusterSettingsRequest& in) {
  Work work(context);
  const auto found = find_active_cluster(work, in.cluster);
  if (!found) return tl::unexpected(found.error());
  const auto settings = settings_of(list(in.settings));
  if (settings.empty()) return invalid_parameter("Settings cannot be empty.");
  if (auto checked = check_settings(settings); !checked) return tl::unexpected(checked.error());
  Cluster changed = **found;
  changed.settings = merge_settings(changed.settings, settings);
  work.put(records::keys::cluster(work.scope, changed.name), changed);
  return answer_with<m::UpdateClusterSettingsResponse>(work, changed);
}

Handled<m::DeleteClusterResponse> delete_cluster(const Context& context, const m::DeleteClusterRequest& in) {
  Work work(context);
  const auto found = find_cluster(work, in.cluster);
  if (!found) return tl::unexpected(found.error());
  Cluster changed = **found;
  if (changed.status != "ACTIVE") return answer_with<m::DeleteClusterResponse>(work, changed);
  const ServiceCounts services = count_services(context, changed.name);
  if (services.active + services.draining > 0)
    return refuse("ClusterContainsServicesException", "The Cluster cannot be deleted while Services are active.");
  if (count_cluster(context, work.scope, changed.name).active > 0)
    return refuse("ClusterContainsTasksException", "The Cluster cannot be deleted while Tasks are active.");
  changed.status = "INACTIVE";
  changed.inactive_at_ms = context.now_ms;
  work.put(records::keys::cluster(work.scope, changed.name), changed);
  return answer_with<m::DeleteClusterResponse>(work, changed);
}

Handled<m::PutClusterCapacityProvidersResponse> put_cluster_capacity_providers(
    const Context& context, const m::PutClusterCapacityProvidersRequest& in) {
  Work work(context);
  const auto found = find_cluster(work, in.cluster);
  if (!found) return tl::unexpected(found.error());
  if ((*found)->status != "ACTIVE") return client_error("Cluster was not ACTIVE.");
  const auto providers = list(in.capacity_providers);
  const auto strategy = strategy_of(list(in.default_capacity_provider_strategy));
  for (const auto& checked :
       {check_providers(providers), check_strategy(strategy, providers, StrategyOf::cluster_default)})
    if (!checked) return tl::unexpected(checked.error());
  Cluster changed = **found;
  for (const std::string& before : changed.capacity_providers)
    if (std::find(providers.begin(), providers.end(), before) == providers.end() &&
        provider_is_in_use(context, changed.name, before))
      return refuse("ResourceInUseException", "The specified capacity provider is in use and cannot be removed.");
  changed.capacity_providers = providers;
  changed.default_strategy = strategy;
  work.put(records::keys::cluster(work.scope, changed.name), changed);
  return answer_with<m::PutClusterCapacityProvidersResponse>(work, changed);
}

}  // namespace berth::services::ecs
