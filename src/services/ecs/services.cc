// Services: Delete, Describe, List. Creating and updating have files of their own.
#include "services/ecs/services.h"

#include <algorithm>

#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/lookup.h"
#include "services/ecs/paging.h"
#include "services/ecs/service_render.h"

namespace berth::services::ecs {
namespace {

constexpr size_t kServicesDescribedMax = 10;
constexpr PageSizes kPageSizes{10, 100};  // ListServices alone begins with so few

}  // namespace

Handled<m::DeleteServiceResponse> delete_service(const Context& context, const m::DeleteServiceRequest& in) {
  Work work(context);
  auto found = find_service_to_change(work, text(in.cluster), in.service);
  if (!found) return tl::unexpected(found.error());
  Service& service = found->service;
  if (service.state() == "INACTIVE") return service_not_found();
  if (service.state() == "ACTIVE") {
    records::ServiceSpec changed = *service.spec;
    const bool replica = changed.scheduling_strategy == "REPLICA";
    if (changed.desired_count > 0 && replica && !flag(in.force, false))
      return invalid_parameter("The service cannot be stopped while it is scaled above 0.");
    changed.desired_count = 0;
    changed.deleted_at_ms = context.now_ms;
    work.put(records::keys::service(records::keys::kServiceSpec, service.path), changed);
    service.spec = std::make_shared<const records::ServiceSpec>(std::move(changed));
  }
  m::DeleteServiceResponse out;
  out.service = render_service(context, service, true);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::DescribeServicesResponse> describe_services(const Context& context, const m::DescribeServicesRequest& in) {
  Work work(context);
  const auto cluster = find_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());
  if (in.services.empty()) return invalid_parameter("Services cannot be empty.");
  if (in.services.size() > kServicesDescribedMax) return invalid_parameter("service names can have at most 10 items.");
  const auto& include = list(in.include);
  const bool with_tags = std::find(include.begin(), include.end(), "TAGS") != include.end();
  m::DescribeServicesResponse out;
  out.services.emplace();
  out.failures.emplace();
  for (const std::string& text : in.services) {
    const auto name = parse_service(work.scope, (*cluster)->name, text);
    if (!name) return tl::unexpected(name.error());
    if (const auto service = find_service(work, (*cluster)->name, *name))
      out.services->push_back(render_service(context, *service, with_tags));
    else
      out.failures->push_back(missing(records::keys::ServicePath{work.scope, (*cluster)->name, *name}.arn()));
  }
  return out;
}

Handled<m::ListServicesResponse> list_services(const Context& context, const m::ListServicesRequest& in) {
  Work work(context);
  const auto cluster = find_cluster(work, text(in.cluster));
  if (!cluster) return tl::unexpected(cluster.error());
  const std::string launch_type = text(in.launch_type), scheduling = text(in.scheduling_strategy);
  auto pager = Pager::open(work.scope,
                           fmt::format("ListServices/{}/{}/{}/{}", (*cluster)->name, launch_type, scheduling,
                                       text(in.resource_management_type)),
                           in.next_token, in.max_results, kPageSizes);
  if (!pager) return tl::unexpected(pager.error());
  each_service(context, work.scope, (*cluster)->name, pager->start(), [&](const Service& service) {
    if (service.state() == "INACTIVE") return true;
    if (!scheduling.empty() && service.spec->scheduling_strategy != scheduling) return true;
    if (!launch_type.empty() && service.effective().launch_type != launch_type) return true;
    if (text(in.resource_management_type) == "ECS") return true;  // all are their users' own
    return pager->add(service.path.name, service.path.arn());
  });
  Page page = std::move(*pager).finish();
  m::ListServicesResponse out;
  out.service_arns = std::move(page.items);
  out.next_token = std::move(page.next_token);
  return out;
}

}  // namespace berth::services::ecs
