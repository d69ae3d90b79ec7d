#include <algorithm>

#include "services/discovery/families.h"

namespace berth::services::discovery {
namespace {

constexpr size_t kResultsDefault = 100;

struct Place {
  std::shared_ptr<const records::Namespace> space;
  std::shared_ptr<const records::DiscoveryService> service;
};

ApiResult<Place> find(const Context& context, const std::string& namespace_name, const std::string& service_name,
                      const std::optional<std::string>& owner) {
  Place place;
  if (!owner || *owner == context.caller.account)
    for (auto& one : all_namespaces(context))
      if (one->http_name == namespace_name) place.space = std::move(one);
  if (!place.space) return refuse("NamespaceNotFound", fmt::format("The namespace {} was not found.", namespace_name));
  auto service = find_service(context, records::discovery_service_id(context.scope(), place.space->id, service_name));
  if (!service) return refuse("ServiceNotFound", fmt::format("The service {} was not found.", service_name));
  place.service = std::move(*service);
  return place;
}

// Grows with each instance that comes or goes, not with health.
int64_t revision_of(state::Revision floor, const Context& context, const records::DiscoveryService& service) {
  const std::string prefix = keys::instance(keys::kInstance, context.scope(), service.id);
  return static_cast<int64_t>(std::max(floor, context.store.range_revision(prefix)));
}

bool matches(const records::Instance& instance, const std::optional<model::StringMap>& parameters) {
  return !parameters || std::all_of(parameters->begin(), parameters->end(), [&](const auto& parameter) {
    const auto found = instance.attributes.find(parameter.first);
    return found != instance.attributes.end() && found->second == parameter.second;
  });
}

struct Candidate {
  std::shared_ptr<const records::Instance> instance;
  bool healthy = true;
};

// Keeps those that the filter of health leaves. Without a health check it leaves all.
void filter_health(std::vector<Candidate>& candidates, const std::string& wanted) {
  const bool some = std::any_of(candidates.begin(), candidates.end(), [](const Candidate& one) { return one.healthy; });
  if (wanted == "ALL" || (wanted == "HEALTHY_OR_ELSE_ALL" && !some)) return;
  const bool healthy = wanted != "UNHEALTHY";
  std::erase_if(candidates, [&](const Candidate& one) { return one.healthy != healthy; });
}

}  // namespace

Handled<m::DiscoverInstancesResponse> discover_instances(state::Revision floor, const Context& context,
                                                         const m::DiscoverInstancesRequest& in) {
  const auto place = find(context, in.namespace_name, in.service_name, in.owner_account);
  if (!place) return tl::unexpected(place.error());
  const records::DiscoveryService& service = *place->service;
  std::vector<Candidate> candidates;
  for (auto& [key, instance] :
       records::range<records::Instance>(context.store, keys::instance(keys::kInstance, context.scope(), service.id))) {
    if (!matches(*instance, in.query_parameters)) continue;
    const auto health = records::get<records::InstanceHealth>(
        context.store, keys::instance(keys::kInstanceHealth, context.scope(), service.id, instance->id));
    const bool healthy = records::is_healthy(*instance, health.get());
    candidates.push_back({std::move(instance), healthy});
  }
  if (service.custom_health) filter_health(candidates, in.health_status.value_or("HEALTHY_OR_ELSE_ALL"));
  // Optional ones count where somebody has them all.
  if (in.optional_parameters) {
    const auto has = [&](const Candidate& one) { return matches(*one.instance, in.optional_parameters); };
    if (std::any_of(candidates.begin(), candidates.end(), has))
      std::erase_if(candidates, [&](const Candidate& one) { return !has(one); });
  }
  for (size_t i = candidates.size(); i > 1; --i) std::swap(candidates[i - 1], candidates[context.random.below(i)]);
  const size_t most = in.max_results ? static_cast<size_t>(*in.max_results) : kResultsDefault;
  if (candidates.size() > most) candidates.resize(most);

  m::DiscoverInstancesResponse out;
  out.instances.emplace();
  for (const Candidate& one : candidates) {
    m::HttpInstanceSummary& shown = out.instances->emplace_back();
    shown.instance_id = one.instance->id;
    shown.namespace_name = place->space->http_name;
    shown.service_name = service.name;
    shown.health_status = !service.custom_health ? "UNKNOWN" : one.healthy ? "HEALTHY" : "UNHEALTHY";
    shown.attributes.emplace(one.instance->attributes.begin(), one.instance->attributes.end());
  }
  out.instances_revision = revision_of(floor, context, service);
  return out;
}

Handled<m::DiscoverInstancesRevisionResponse> discover_instances_revision(
    state::Revision floor, const Context& context, const m::DiscoverInstancesRevisionRequest& in) {
  const auto place = find(context, in.namespace_name, in.service_name, in.owner_account);
  if (!place) return tl::unexpected(place.error());
  m::DiscoverInstancesRevisionResponse out;
  out.instances_revision = revision_of(floor, context, *place->service);
  return out;
}

}  // namespace berth::services::discovery
