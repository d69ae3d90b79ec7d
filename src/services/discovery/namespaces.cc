#include <algorithm>

#include "records/network.h"
#include "services/discovery/families.h"
#include "services/discovery/filters.h"
#include "services/discovery/rules.h"

namespace berth::services::discovery {
namespace {

constexpr size_t kNamespacesMax = 50;  // AWS's quota a region

void put(const Context& context, state::Transaction& transaction, const records::Namespace& space) {
  records::put(transaction, keys::discovery(keys::kNamespace, context.scope(), space.id), space);
  transaction.durability = state::Durability::acknowledged;
}

struct Failure {
  std::string code, message;
};

// Found out by Route 53, so the operation says it and not the request.
Failure failure_of(const Context& context, const records::Namespace& space) {
  if (space.type != "DNS_PRIVATE") return {};
  const auto key = records::keys::ec2(records::ec2_kinds::kVpc, context.scope(), space.vpc_id);
  if (!context.store.get(key))
    return {"CANNOT_CREATE_HOSTED_ZONE", fmt::format("The VPC: {} in region {} that you provided could not be found.",
                                                     space.vpc_id, context.caller.region)};
  for (const auto& other : all_namespaces(context))
    if (other->vpc_id == space.vpc_id && records::lower_case(other->name) == records::lower_case(space.name))
      return {"CANNOT_CREATE_HOSTED_ZONE",
              fmt::format("The VPC that you chose, {} in region {}, is already associated with another private hosted "
                          "zone that has an overlapping name space, {}.. (Service: AmazonRoute53; Status Code: 400; "
                          "Error Code: ConflictingDomainExists)",
                          space.vpc_id, context.caller.region, space.name)};
  return {};
}

template <class Out>
Handled<Out> create(const Context& context, records::Namespace space,
                    const std::optional<std::string>& creator_request_id, const std::optional<std::string>& description,
                    const std::optional<std::vector<m::Tag>>& tags) {
  if (auto good = check_namespace_name(space.name, space.type); !good) return tl::unexpected(good.error());
  auto taken = tags_of(tags);
  if (!taken) return tl::unexpected(taken.error());
  space.tags = std::move(*taken);
  space.creator_request_id = creator_request_id.value_or("");
  space.description = description.value_or("");
  space.created_at_ms = context.now_ms;
  const auto present = all_namespaces(context);
  bool name_used = false;
  for (const auto& other : present) {
    const bool same_request =
        !space.creator_request_id.empty() && other->creator_request_id == space.creator_request_id;
    const bool same = other->type == space.type && other->name == space.name && other->vpc_id == space.vpc_id;
    if (same_request && same) {  // sent again, because its answer was lost
      Out out;
      out.operation_id = other->operation_id;
      return out;
    }
    name_used = name_used || other->http_name == space.name;
    if (other->type == "HTTP" && space.type == "HTTP" && other->name == space.name)
      return refuse_with("NamespaceAlreadyExists", fmt::format("The namespace {} already exists.", space.name),
                         {{"CreatorRequestId", other->creator_request_id}, {"NamespaceId", other->id}});
  }
  if (present.size() >= kNamespacesMax)
    return refuse("ResourceLimitExceeded", fmt::format("You can have at most {} namespaces.", kNamespacesMax));
  space.id = new_id(context.random, "ns-", 16);
  space.http_name = name_used ? space.name + "-" + space.id.substr(3) : space.name;
  if (space.type != "HTTP") {
    space.hosted_zone_id = "Z";
    for (int i = 0; i < 20; ++i)
      space.hosted_zone_id += "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[context.random.below(36)];
  }
  state::Transaction transaction;
  const Failure failure = failure_of(context, space);
  space.operation_id = begin_operation(context, transaction, "CREATE_NAMESPACE", {{"NAMESPACE", space.id}},
                                       failure.code, failure.message);
  if (failure.code.empty()) put(context, transaction, space);
  Out out;
  out.operation_id = space.operation_id;
  return {std::move(out), std::move(transaction)};
}

template <class Out>
Handled<Out> update(const Context& context, const std::string& id, std::string_view type,
                    const std::optional<std::string>& description, const std::optional<int64_t>& soa_ttl_s) {
  const auto found = find_namespace(context, id);
  if (!found) return tl::unexpected(found.error());
  if ((*found)->type != type)
    return invalid(fmt::format("The namespace {} is of type {}, not {}.", (*found)->id, (*found)->type, type));
  if (auto free = check_not_busy(context, (*found)->operation_id); !free) return tl::unexpected(free.error());
  records::Namespace changed = **found;
  if (description) changed.description = *description;
  if (soa_ttl_s) changed.soa_ttl_s = *soa_ttl_s;
  state::Transaction transaction;
  changed.operation_id = begin_operation(context, transaction, "UPDATE_NAMESPACE", {{"NAMESPACE", changed.id}});
  put(context, transaction, changed);
  Out out;
  out.operation_id = changed.operation_id;
  return {std::move(out), std::move(transaction)};
}

// Namespace or NamespaceSummary.
template <class Out>
Out render(const Context& context, const records::Namespace& space) {
  Out out;
  out.id = space.id;
  out.arn = records::discovery_arn(context.scope(), "namespace", space.id);
  out.resource_owner = context.caller.account;
  out.name = space.name;
  out.type = space.type;
  if (!space.description.empty()) out.description = space.description;
  out.service_count = static_cast<int32_t>(services_of(context, space.id).size());
  out.create_date = space.created_at_ms;
  m::NamespaceProperties& properties = out.properties.emplace();
  properties.http_properties.emplace().http_name = space.http_name;
  m::DnsProperties& dns = properties.dns_properties.emplace();
  if (space.type != "HTTP") {
    dns.hosted_zone_id = space.hosted_zone_id;
    dns.soa.emplace().ttl = space.soa_ttl_s;
  }
  return out;
}

}  // namespace

Handled<m::CreateHttpNamespaceResponse> create_http_namespace(const Context& context,
                                                              const m::CreateHttpNamespaceRequest& in) {
  records::Namespace space;
  space.name = in.name;
  space.type = "HTTP";
  return create<m::CreateHttpNamespaceResponse>(context, std::move(space), in.creator_request_id, in.description,
                                                in.tags);
}

Handled<m::CreatePrivateDnsNamespaceResponse> create_private_dns_namespace(
    const Context& context, const m::CreatePrivateDnsNamespaceRequest& in) {
  records::Namespace space;
  space.name = in.name;
  space.type = "DNS_PRIVATE";
  space.vpc_id = in.vpc;
  if (in.properties) space.soa_ttl_s = in.properties->dns_properties.soa.ttl;
  return create<m::CreatePrivateDnsNamespaceResponse>(context, std::move(space), in.creator_request_id, in.description,
                                                      in.tags);
}

Handled<m::CreatePublicDnsNamespaceResponse> create_public_dns_namespace(const Context& context,
                                                                         const m::CreatePublicDnsNamespaceRequest& in) {
  records::Namespace space;
  space.name = in.name;
  space.type = "DNS_PUBLIC";
  if (in.properties) space.soa_ttl_s = in.properties->dns_properties.soa.ttl;
  return create<m::CreatePublicDnsNamespaceResponse>(context, std::move(space), in.creator_request_id, in.description,
                                                     in.tags);
}

Handled<m::UpdateHttpNamespaceResponse> update_http_namespace(const Context& context,
                                                              const m::UpdateHttpNamespaceRequest& in) {
  return update<m::UpdateHttpNamespaceResponse>(context, in.id, "HTTP", in.namespace_.description, {});
}

Handled<m::UpdatePrivateDnsNamespaceResponse> update_private_dns_namespace(
    const Context& context, const m::UpdatePrivateDnsNamespaceRequest& in) {
  std::optional<int64_t> soa_ttl_s;
  if (in.namespace_.properties) soa_ttl_s = in.namespace_.properties->dns_properties.soa.ttl;
  return update<m::UpdatePrivateDnsNamespaceResponse>(context, in.id, "DNS_PRIVATE", in.namespace_.description,
                                                      soa_ttl_s);
}

Handled<m::UpdatePublicDnsNamespaceResponse> update_public_dns_namespace(const Context& context,
                                                                         const m::UpdatePublicDnsNamespaceRequest& in) {
  std::optional<int64_t> soa_ttl_s;
  if (in.namespace_.properties) soa_ttl_s = in.namespace_.properties->dns_properties.soa.ttl;
  return update<m::UpdatePublicDnsNamespaceResponse>(context, in.id, "DNS_PUBLIC", in.namespace_.description,
                                                     soa_ttl_s);
}

Handled<m::DeleteNamespaceResponse> delete_namespace(const Context& context, const m::DeleteNamespaceRequest& in) {
  const auto found = find_namespace(context, in.id);
  if (!found) return tl::unexpected(found.error());
  if (auto free = check_not_busy(context, (*found)->operation_id); !free) return tl::unexpected(free.error());
  if (!services_of(context, (*found)->id).empty())
    return refuse("ResourceInUse", "Namespace contains services; delete the services before deleting the namespace");
  state::Transaction transaction;
  m::DeleteNamespaceResponse out;
  out.operation_id = begin_operation(context, transaction, "DELETE_NAMESPACE", {{"NAMESPACE", (*found)->id}});
  transaction.erase(keys::discovery(keys::kNamespace, context.scope(), (*found)->id));
  return {std::move(out), std::move(transaction)};
}

Handled<m::GetNamespaceResponse> get_namespace(const Context& context, const m::GetNamespaceRequest& in) {
  const auto found = find_namespace(context, in.id);
  if (!found) return tl::unexpected(found.error());
  m::GetNamespaceResponse out;
  out.namespace_ = render<m::Namespace>(context, **found);
  if (!(*found)->creator_request_id.empty()) out.namespace_->creator_request_id = (*found)->creator_request_id;
  return out;
}

Handled<m::ListNamespacesResponse> list_namespaces(const Context& context, const m::ListNamespacesRequest& in) {
  const std::string question = "namespaces " + context.caller.account + context.caller.region;
  const auto page = open_page(question, in.next_token, in.max_results);
  if (!page) return tl::unexpected(page.error());
  m::ListNamespacesResponse out;
  out.namespaces.emplace();
  size_t seen = 0;
  std::string last;
  // Its filters are checked even where there is nothing to filter.
  if (auto good = passes(in.filters, {{"TYPE", "", {"EQ"}},
                                      {"NAME", "", {"EQ", "BEGINS_WITH"}},
                                      {"HTTP_NAME", "", {"EQ", "BEGINS_WITH"}},
                                      {"RESOURCE_OWNER", "", {"EQ"}}});
      !good)
    return tl::unexpected(good.error());
  for (const auto& space : all_namespaces(context)) {
    if (space->id <= page->after) continue;
    if (seen++ == page->size) {
      out.next_token = page_token(question, last);
      break;
    }
    last = space->id;
    const auto wanted = passes(in.filters, {{"TYPE", space->type, {"EQ"}},
                                            {"NAME", space->name, {"EQ", "BEGINS_WITH"}},
                                            {"HTTP_NAME", space->http_name, {"EQ", "BEGINS_WITH"}},
                                            {"RESOURCE_OWNER", "SELF", {"EQ"}}});
    if (wanted && *wanted) out.namespaces->push_back(render<m::NamespaceSummary>(context, *space));
  }
  return out;
}

}  // namespace berth::services::discovery
