// DHCP options: what new tasks of a VPC get as their domain and name servers.
#include <algorithm>
#include <array>

#include "base/ipv4.h"
#include "model/ec2/dhcp_options.h"
#include "model/ec2/operations.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;
constexpr std::array<std::string_view, 6> kNames{"domain-name",          "domain-name-servers",
                                                 "ntp-servers",          "netbios-name-servers",
                                                 "netbios-node-type",    "ipv6-address-preferred-lease-time"};
constexpr size_t kServersMax = 4;

m::DhcpOptions render(Work& work, const records::DhcpOptions& options) {
  m::DhcpOptions out;
  out.owner_id = work.scope.account;
  out.tags = render_tags(work, options.id);
  out.dhcp_options_id = options.id;
  out.dhcp_configurations.emplace();
  for (const auto& [name, values] : options.configurations) {
    auto& configuration = out.dhcp_configurations->emplace_back();
    configuration.key = name;
    configuration.values.emplace();
    for (const std::string& value : values) configuration.values->emplace_back().value = value;
  }
  return out;
}

Handled<m::DescribeDhcpOptionsResult> describe_dhcp_options(const Context& context,
                                                            const m::DescribeDhcpOptionsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto found = select<records::DhcpOptions>(work, in, list(in.dhcp_options_ids),
                                            {"dhcp-options-id", "key", "owner-id", "value"},
                                            [&](const records::DhcpOptions& options) {
                                              Filterable out;
                                              out.with("dhcp-options-id", options.id);
                                              out.with("owner-id", work.scope.account);
                                              for (const auto& [name, values] : options.configurations) {
                                                out.with("key", name);
                                                for (const auto& value : values) out.with("value", value);
                                              }
                                              return out;
                                            });
  if (!found) return tl::unexpected(found.error());
  m::DescribeDhcpOptionsResult out;
  out.dhcp_options.emplace();
  for (const auto& options : found->records) out.dhcp_options->push_back(render(work, *options));
  out.next_token = found->next_token;
  return {std::move(out), std::move(work.transaction)};
}

ApiResult<void> check_configuration(const std::string& name, const std::vector<std::string>& values) {
  const auto wrong = [&](const std::string& value, std::string_view why) {
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter {} is invalid. {}", value, name, why));
  };
  if (std::find(kNames.begin(), kNames.end(), name) == kNames.end())
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter name is invalid. Unknown DHCP option", name));
  if (values.empty()) return wrong("", "The option has no value.");
  const bool servers = name.ends_with("-servers");
  if (servers && values.size() > kServersMax) return wrong(values.back(), "At most four servers can be given.");
  for (const std::string& value : values) {
    const bool amazon = name == "domain-name-servers" && value == "AmazonProvidedDNS";
    if (servers && !amazon && !parse_ipv4(value)) return wrong(value, "This is not a valid IP address.");
    if (name == "netbios-node-type" && value != "1" && value != "2" && value != "4" && value != "8")
      return wrong(value, "Node types are 1, 2, 4 and 8.");
  }
  return {};
}

Handled<m::CreateDhcpOptionsResult> create_dhcp_options(const Context& context, const m::CreateDhcpOptionsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<records::DhcpOptions>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  records::DhcpOptions options;
  options.id = new_id<records::DhcpOptions>(work);
  for (const auto& configuration : in.dhcp_configurations) {
    const std::string name = configuration.key.value_or("");
    if (auto checked = check_configuration(name, list(configuration.values)); !checked)
      return tl::unexpected(checked.error());
    options.configurations.emplace_back(name, list(configuration.values));
  }
  if (options.configurations.empty())
    return refuse("MissingParameter", "The request must contain the parameter dhcpConfiguration");
  put(work, options);
  put_tags(work, options.id, *tags);
  m::CreateDhcpOptionsResult out;
  out.dhcp_options = render(work, options);
  return {std::move(out), std::move(work.transaction)};
}

Handled<Nothing> delete_dhcp_options(const Context& context, const m::DeleteDhcpOptionsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto options = find<records::DhcpOptions>(work, in.dhcp_options_id);
  if (!options) return tl::unexpected(options.error());
  if (context.networks.is_named((*options)->id, kinds::kVpc)) return has_dependencies("dhcpOptions", (*options)->id);
  erase(work, **options);
  return {Nothing{}, std::move(work.transaction)};
}

// "default" takes a VPC's options away.
Handled<Nothing> associate_dhcp_options(const Context& context, const m::AssociateDhcpOptionsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find<records::Vpc>(work, in.vpc_id);
  if (!found) return tl::unexpected(found.error());
  if (in.dhcp_options_id != "default")
    if (const auto options = find<records::DhcpOptions>(work, in.dhcp_options_id); !options)
      return tl::unexpected(options.error());
  records::Vpc vpc = **found;
  vpc.dhcp_options_id = in.dhcp_options_id;
  put(work, vpc);
  return {Nothing{}, std::move(work.transaction)};
}

}  // namespace

void add_dhcp_options_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeDhcpOptions, kAnyResource, describe_dhcp_options);
  add(registry, m::kCreateDhcpOptions, Creates{"dhcp-options"}, create_dhcp_options);
  add(registry, m::kDeleteDhcpOptions, named, delete_dhcp_options);
  add(registry, m::kAssociateDhcpOptions, named, associate_dhcp_options);
}

}  // namespace berth::services::ec2
