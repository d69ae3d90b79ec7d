#include "services/ecs/capacity.h"

#include <algorithm>
#include <array>

#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/launch.h"
#include "services/ecs/lookup.h"
#include "services/ecs/paging.h"
#include "services/ecs/settings_table.h"
#include "services/ecs/shapes.h"

namespace berth::services::ecs {
namespace {

constexpr size_t kProvidersDescribedMax = 100;
constexpr PageSizes kProviderPages{10, 10};
constexpr std::array<const char*, 2> kProviders{"FARGATE", "FARGATE_SPOT"};

std::string provider_arn(const records::Scope& scope, std::string_view name) {
  return fmt::format("arn:aws:ecs:{}:{}:capacity-provider/{}", scope.region, scope.account, name);
}

// Of a name or an ARN of this account and region; another ARN stays whole, and is nobody's name.
std::string provider_name(const records::Scope& scope, const std::string& text) {
  const std::string prefix = provider_arn(scope, "");
  return text.starts_with(prefix) ? text.substr(prefix.size()) : text;
}

}  // namespace

Handled<m::DescribeCapacityProvidersResponse> describe_capacity_providers(
    const Context& context, const m::DescribeCapacityProvidersRequest& in) {
  Work work(context);
  std::vector<std::string> asked = list(in.capacity_providers);
  if (asked.size() > kProvidersDescribedMax) return invalid_parameter("capacityProviders can have at most 100 items.");
  auto pager = Pager::open(work.scope, "DescribeCapacityProviders " + text(in.cluster), in.next_token, in.max_results,
                           kProviderPages);
  if (!pager) return tl::unexpected(pager.error());
  const bool all = asked.empty();
  if (all) asked.assign(kProviders.begin(), kProviders.end());
  if (!text(in.cluster).empty()) {
    const auto cluster = find_active_cluster(work, text(in.cluster));
    if (!cluster) return tl::unexpected(cluster.error());
    const auto& of_cluster = (*cluster)->capacity_providers;
    std::erase_if(asked, [&](const std::string& one) {
      return std::find(of_cluster.begin(), of_cluster.end(), provider_name(work.scope, one)) == of_cluster.end();
    });
  }
  m::DescribeCapacityProvidersResponse out;
  out.capacity_providers.emplace();
  out.failures.emplace();
  for (const std::string& one : asked) {
    const std::string name = provider_name(work.scope, one);
    if (!is_fargate_provider(name)) {
      out.failures->push_back(missing(one.starts_with("arn:") ? one : provider_arn(work.scope, one)));
      continue;
    }
    if (all && name <= pager->start()) continue;
    if (all && !pager->add(name, name)) break;
    auto& provider = out.capacity_providers->emplace_back();
    provider.capacity_provider_arn = provider_arn(work.scope, name);
    provider.name = name;
    provider.status = "ACTIVE";
    provider.tags.emplace();
  }
  out.next_token = std::move(*pager).finish().next_token;
  return out;
}

// Tasks run on this machine as Fargate's do, on no instance that a user sees. What asks for instances is told that
// there are none.
Handled<m::ListContainerInstancesResponse> list_container_instances(const Context& context,
                                                                    const m::ListContainerInstancesRequest& in) {
  Work work(context);
  const auto cluster = find_active_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());
  if (!text(in.status).empty() &&
      !is_one_of("ACTIVE|DRAINING|REGISTERING|DEREGISTERING|REGISTRATION_FAILED", text(in.status)))
    return invalid_parameter(fmt::format("Invalid status '{}'.", text(in.status)));
  const auto pager =
      Pager::open(work.scope, "ListContainerInstances " + text(in.cluster), in.next_token, in.max_results);
  if (!pager) return tl::unexpected(pager.error());
  m::ListContainerInstancesResponse out;
  out.container_instance_arns.emplace();
  return out;
}

}  // namespace berth::services::ecs
