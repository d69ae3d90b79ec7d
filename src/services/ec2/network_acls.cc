#include "services/ec2/network_acls.h"

#include <algorithm>
#include <tuple>

#include "model/ec2/operations.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/quotas.h"
#include "services/ec2/security_group_rules.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

using records::NetworkAcl;
using records::NetworkAclEntry;

tl::unexpected<ApiError> invalid(std::string text) { return refuse("InvalidParameterValue", std::move(text)); }

bool is_icmp(int protocol) { return protocol == kIcmp || protocol == kIcmpV6; }

m::NetworkAclEntry render(const NetworkAclEntry& entry) {
  m::NetworkAclEntry out;
  (entry.cidr.find(':') == std::string::npos ? out.cidr_block : out.ipv6_cidr_block) = entry.cidr;
  out.egress = entry.egress;
  if (is_icmp(entry.protocol)) {
    auto& icmp = out.icmp_type_code.emplace();
    icmp.type = entry.from_port, icmp.code = entry.to_port;
  } else if (has_ports(entry.protocol)) {
    auto& ports = out.port_range.emplace();
    ports.from = entry.from_port, ports.to = entry.to_port;
  }
  out.protocol = std::to_string(entry.protocol);  // AWS answers numbers only
  out.rule_action = entry.allow ? "allow" : "deny";
  out.rule_number = entry.rule_number;
  return out;
}

m::NetworkAcl render(Work& work, const NetworkAcl& acl) {
  m::NetworkAcl out;
  out.associations.emplace();
  for (const records::SubnetAssociation& association : acl.associations) {
    auto& shown = out.associations->emplace_back();
    shown.network_acl_association_id = association.id;
    shown.network_acl_id = acl.id;
    shown.subnet_id = association.subnet_id;
  }
  out.entries.emplace();
  for (const NetworkAclEntry& entry : acl.entries) out.entries->push_back(render(entry));
  out.is_default = acl.is_default;
  out.network_acl_id = acl.id;
  out.tags = render_tags(work, acl.id);
  out.vpc_id = acl.vpc_id;
  out.owner_id = work.scope.account;
  return out;
}

Handled<m::CreateNetworkAclResult> create_acl(const Context& context, const m::CreateNetworkAclRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const std::string hash = parameters_hash(in);
  const auto known = id_by_token(work, "CreateNetworkAcl", in.client_token, hash);
  if (!known) return tl::unexpected(known.error());
  m::CreateNetworkAclResult out;
  out.client_token = in.client_token;
  if (!known->empty()) {
    const auto before = find<NetworkAcl>(work, *known);
    if (!before) return tl::unexpected(before.error());
    out.network_acl = render(work, **before);
    return {std::move(out), std::move(work.transaction)};
  }
  if (const auto vpc = find<records::Vpc>(work, in.vpc_id); !vpc) return tl::unexpected(vpc.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<NetworkAcl>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  if (context.networks.naming(in.vpc_id, records::ec2_kinds::kNetworkAcl).size() >= quotas::kAclsOfVpc)
    return refuse("NetworkAclLimitExceeded", "The maximum number of network ACLs has been reached.");
  NetworkAcl acl;
  acl.id = new_id<NetworkAcl>(work);
  acl.vpc_id = in.vpc_id;
  acl.entries = default_acl_entries(false);
  put(work, acl);
  put_tags(work, acl.id, *tags);
  remember_token(work, "CreateNetworkAcl", in.client_token, hash, acl.id);
  out.network_acl = render(work, acl);
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> delete_acl(const Context& context, const m::DeleteNetworkAclRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto acl = find<NetworkAcl>(work, in.network_acl_id);
  if (!acl) return tl::unexpected(acl.error());
  if ((*acl)->is_default) return invalid(fmt::format("Cannot delete default network ACL {}", (*acl)->id));
  if (!(*acl)->associations.empty()) return has_dependencies("network ACL", (*acl)->id);
  erase(work, **acl);
  return {Nothing{}, std::move(work.transaction)};
}

Filterable filterable(const Work& work, const NetworkAcl& acl) {
  Filterable seen;
  for (const records::SubnetAssociation& association : acl.associations) {
    seen.with("association.association-id", association.id);
    seen.with("association.network-acl-id", acl.id);
    seen.with("association.subnet-id", association.subnet_id);
  }
  seen.with("default", acl.is_default);
  for (const NetworkAclEntry& entry : acl.entries) {
    seen.with(entry.cidr.find(':') == std::string::npos ? "entry.cidr" : "entry.ipv6-cidr", entry.cidr);
    if (is_icmp(entry.protocol)) {
      seen.with("entry.icmp.type", std::to_string(entry.from_port));
      seen.with("entry.icmp.code", std::to_string(entry.to_port));
    } else if (has_ports(entry.protocol)) {
      seen.with("entry.port-range.from", std::to_string(entry.from_port));
      seen.with("entry.port-range.to", std::to_string(entry.to_port));
    }
    seen.with("entry.protocol", std::to_string(entry.protocol));
    if (entry.protocol != kAllProtocols) seen.with("entry.protocol", protocol_name(entry.protocol));
    seen.with("entry.rule-action", entry.allow ? "allow" : "deny");
    seen.with("entry.egress", entry.egress);
    seen.with("entry.rule-number", std::to_string(entry.rule_number));
  }
  seen.with("network-acl-id", acl.id).with("owner-id", work.scope.account).with("vpc-id", acl.vpc_id);
  return seen;
}

Handled<m::DescribeNetworkAclsResult> describe_acls(const Context& context, const m::DescribeNetworkAclsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = select<NetworkAcl>(work, in, list(in.network_acl_ids),
                                  {"association.association-id", "association.network-acl-id", "association.subnet-id",
                                   "default", "entry.cidr", "entry.egress", "entry.icmp.code", "entry.icmp.type",
                                   "entry.ipv6-cidr", "entry.port-range.from", "entry.port-range.to", "entry.protocol",
                                   "entry.rule-action", "entry.rule-number", "network-acl-id", "owner-id", "vpc-id"},
                                  [&](const NetworkAcl& acl) { return filterable(work, acl); });
  if (!found) return tl::unexpected(found.error());
  m::DescribeNetworkAclsResult out;
  out.network_acls.emplace();
  for (const auto& acl : found->records) out.network_acls->push_back(render(work, *acl));
  out.next_token = std::move(found->next_token);
  return {std::move(out), std::move(work.transaction)};
}

std::vector<NetworkAclEntry>::iterator entry_at(NetworkAcl& acl, int number, bool egress) {
  return std::find_if(acl.entries.begin(), acl.entries.end(), [&](const NetworkAclEntry& entry) {
    return entry.rule_number == number && entry.egress == egress;
  });
}

tl::unexpected<ApiError> no_such_entry(int number) {
  return refuse("InvalidNetworkAclEntry.NotFound",
                fmt::format("The network acl entry identified by {} does not exist.", number));
}

enum class Change { create, replace };

template <class In, Change change>
Handled<Nothing> put_entry(const Context& context, const In& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto acl = find<NetworkAcl>(work, in.network_acl_id);
  if (!acl) return tl::unexpected(acl.error());
  auto entry = make_entry({in.rule_number, in.protocol, in.rule_action, in.egress, in.cidr_block, in.ipv6_cidr_block,
                           in.icmp_type_code, in.port_range});
  if (!entry) return tl::unexpected(entry.error());
  NetworkAcl after = **acl;
  const auto present = entry_at(after, entry->rule_number, entry->egress);
  if (change == Change::create) {
    if (present != after.entries.end())
      return refuse("NetworkAclEntryAlreadyExists",
                    fmt::format("The network acl entry identified by {} already exists.", entry->rule_number));
    const auto count = std::count_if(after.entries.begin(), after.entries.end(), [&](const NetworkAclEntry& other) {
      return other.egress == entry->egress && other.rule_number < kLastRuleNumber;
    });
    if (count >= quotas::kAclEntries)
      return refuse("NetworkAclEntryLimitExceeded", "The maximum number of network acl entries has been reached.");
    after.entries.push_back(*std::move(entry));
  } else {
    if (present == after.entries.end()) return no_such_entry(entry->rule_number);
    *present = *std::move(entry);
  }
  std::sort(after.entries.begin(), after.entries.end(), [](const NetworkAclEntry& a, const NetworkAclEntry& b) {
    return std::tie(a.egress, a.rule_number) < std::tie(b.egress, b.rule_number);
  });
  put(work, after);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<Nothing> delete_entry(const Context& context, const m::DeleteNetworkAclEntryRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto acl = find<NetworkAcl>(work, in.network_acl_id);
  if (!acl) return tl::unexpected(acl.error());
  NetworkAcl after = **acl;
  const auto present = entry_at(after, in.rule_number, in.egress);
  if (present == after.entries.end() || in.rule_number >= kLastRuleNumber) return no_such_entry(in.rule_number);
  after.entries.erase(present);
  put(work, after);
  return {Nothing{}, std::move(work.transaction)};
}

Handled<m::ReplaceNetworkAclAssociationResult> replace_association(const Context& context,
                                                                   const m::ReplaceNetworkAclAssociationRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto target = find<NetworkAcl>(work, in.network_acl_id);
  if (!target) return tl::unexpected(target.error());
  for (const auto& [key, acl] : all<NetworkAcl>(work)) {
    const auto found = std::find_if(acl->associations.begin(), acl->associations.end(),
                                    [&](const auto& association) { return association.id == in.association_id; });
    if (found == acl->associations.end()) continue;
    if (acl->vpc_id != (*target)->vpc_id)
      return refuse("InvalidParameterValue", fmt::format("Network ACL {} and subnet {} belong to different networks.",
                                                         (*target)->id, found->subnet_id));
    records::SubnetAssociation moved = *found;
    moved.id = new_id(work, "aclassoc-");
    NetworkAcl before = *acl;
    std::erase_if(before.associations, [&](const auto& association) { return association.id == in.association_id; });
    NetworkAcl after = before.id == (*target)->id ? before : **target;
    after.associations.push_back(moved);
    if (before.id != after.id) put(work, before);
    put(work, after);
    m::ReplaceNetworkAclAssociationResult out;
    out.new_association_id = moved.id;
    return {std::move(out), std::move(work.transaction)};
  }
  return refuse("InvalidAssociationID.NotFound",
                fmt::format("The association ID '{}' does not exist", in.association_id));
}

ApiResult<void> set_range(NetworkAclEntry& entry, const EntryFields& fields) {
  if (is_icmp(entry.protocol)) {
    if (!fields.icmp || !fields.icmp->type || !fields.icmp->code)
      return refuse("MissingParameter", "The request must contain the parameter icmpTypeCode");
    entry.from_port = *fields.icmp->type, entry.to_port = *fields.icmp->code;
    for (const int value : {entry.from_port, entry.to_port})
      if (value < -1 || value > 255)
        return invalid(fmt::format("ICMP code ({}) or type ({}) out of range", entry.to_port, entry.from_port));
  } else if (has_ports(entry.protocol)) {
    if (!fields.ports || !fields.ports->from || !fields.ports->to)
      return refuse("MissingParameter", "The request must contain the parameter portRange");
    entry.from_port = *fields.ports->from, entry.to_port = *fields.ports->to;
    if (entry.from_port < 0 || entry.to_port > 65535 || entry.from_port > entry.to_port)
      return invalid(fmt::format("Invalid TCP/UDP port range ({}:{})", entry.from_port, entry.to_port));
  }
  return {};
}

}  // namespace

ApiResult<NetworkAclEntry> make_entry(const EntryFields& fields) {
  NetworkAclEntry entry;
  if (fields.rule_number < 1 || fields.rule_number >= kLastRuleNumber)
    return invalid(fmt::format("Value ({}) for parameter ruleNumber is invalid. Rule numbers are from 1 to {}.",
                               fields.rule_number, kLastRuleNumber - 1));
  entry.rule_number = fields.rule_number;
  entry.egress = fields.egress;
  const auto protocol = parse_protocol(fields.protocol);
  if (!protocol) return tl::unexpected(protocol.error());
  entry.protocol = *protocol;
  if (fields.action != "allow" && fields.action != "deny")
    return invalid(
        fmt::format("Value ({}) for parameter ruleAction is invalid. Valid values are allow and deny.", fields.action));
  entry.allow = fields.action == "allow";
  if (!fields.cidr_ipv4 && !fields.cidr_ipv6)
    return refuse("MissingParameter", "The request must contain the parameter cidrBlock or ipv6CidrBlock");
  if (fields.cidr_ipv4 && fields.cidr_ipv6)
    return refuse("InvalidParameterCombination", "Only one of cidrBlock and ipv6CidrBlock may be specified.");
  const auto cidr = fields.cidr_ipv4 ? canonical_ipv4(*fields.cidr_ipv4) : canonical_ipv6(*fields.cidr_ipv6);
  if (!cidr)
    return invalid(fmt::format("Value ({}) for parameter {} is invalid. This is not a valid CIDR block.",
                               fields.cidr_ipv4 ? *fields.cidr_ipv4 : *fields.cidr_ipv6,
                               fields.cidr_ipv4 ? "cidrBlock" : "ipv6CidrBlock"));
  entry.cidr = *cidr;
  if (auto held = set_range(entry, fields); !held) return tl::unexpected(held.error());
  return entry;
}

void add_network_acl_handlers(OperationRegistry& registry) {
  add(registry, m::kCreateNetworkAcl, Creates{"network-acl"}, create_acl);
  add(registry, m::kDeleteNetworkAcl, named, delete_acl);
  add(registry, m::kDescribeNetworkAcls, kAnyResource, describe_acls);
  add(registry, m::kDeleteNetworkAclEntry, named, delete_entry);
  add(registry, m::kReplaceNetworkAclAssociation, named, replace_association);
  add(registry, m::kCreateNetworkAclEntry, named, put_entry<m::CreateNetworkAclEntryRequest, Change::create>);
  add(registry, m::kReplaceNetworkAclEntry, named, put_entry<m::ReplaceNetworkAclEntryRequest, Change::replace>);
}

}  // namespace berth::services::ec2
