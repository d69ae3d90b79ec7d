// Regions, and what an account may have.
#include <algorithm>
#include <array>

#include "model/ec2/account.h"
#include "model/ec2/operations.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/handlers.h"
#include "services/ec2/quotas.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

// Those that every account has without opting in.
constexpr std::array<std::string_view, 17> kRegions{
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
    "ca-central-1",   "eu-central-1",   "eu-north-1",     "eu-west-1",  "eu-west-2",      "eu-west-3",
    "sa-east-1",      "us-east-1",      "us-east-2",      "us-west-1",  "us-west-2"};

Handled<m::DescribeRegionsResult> describe_regions(const Context& context, const m::DescribeRegionsRequest& in) {
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"endpoint", "opt-in-status", "region-name"}); !checked)
    return tl::unexpected(checked.error());
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  std::vector<std::string> regions(kRegions.begin(), kRegions.end());
  // Berth serves whatever region its callers name.
  if (std::find(regions.begin(), regions.end(), work.scope.region) == regions.end())
    regions.push_back(work.scope.region);
  const std::vector<std::string>& names = list(in.region_names);
  for (const std::string& name : names)
    if (std::find(regions.begin(), regions.end(), name) == regions.end())
      return refuse("InvalidParameterValue", fmt::format("Invalid region: [{}]", name));
  m::DescribeRegionsResult out;
  out.regions.emplace();
  for (const std::string& region : regions) {
    const std::string endpoint = fmt::format("ec2.{}.amazonaws.com", region);
    Filterable seen;
    seen.with("endpoint", endpoint).with("opt-in-status", "opt-in-not-required").with("region-name", region);
    if (!names.empty() && std::find(names.begin(), names.end(), region) == names.end()) continue;
    if (!seen.matches(filters)) continue;
    m::Region& shown = out.regions->emplace_back();
    shown.opt_in_status = "opt-in-not-required";
    shown.region_name = region;
    shown.endpoint = endpoint;
  }
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::DescribeAccountAttributesResult> describe_attributes(const Context& context,
                                                                const m::DescribeAccountAttributesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  std::string vpc = "none";
  for (const auto& [key, record] : all<records::Vpc>(work))
    if (record->is_default) vpc = record->id;
  const std::vector<std::pair<std::string, std::string>> attributes{
      {"supported-platforms", "VPC"},
      {"vpc-max-security-groups-per-interface", std::to_string(quotas::kGroupsOfInterface)},
      {"max-elastic-ips", "5"},
      {"max-instances", "0"},  // there are none
      {"vpc-max-elastic-ips", "5"},
      {"default-vpc", vpc}};
  const std::vector<std::string>& names = list(in.attribute_names);
  for (const std::string& name : names)
    if (std::none_of(attributes.begin(), attributes.end(), [&](const auto& known) { return known.first == name; }))
      return refuse("InvalidParameterValue",
                    fmt::format("Value ({}) for parameter attribute is invalid. Unknown attribute.", name));
  m::DescribeAccountAttributesResult out;
  out.account_attributes.emplace();
  for (const auto& [name, value] : attributes) {
    if (!names.empty() && std::find(names.begin(), names.end(), name) == names.end()) continue;
    auto& shown = out.account_attributes->emplace_back();
    shown.attribute_name = name;
    shown.attribute_values.emplace().emplace_back().attribute_value = value;
  }
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

void add_account_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeRegions, kAnyResource, describe_regions);
  add(registry, m::kDescribeAccountAttributes, kAnyResource, describe_attributes);
}

}  // namespace berth::services::ec2
