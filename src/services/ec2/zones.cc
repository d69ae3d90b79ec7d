// A region's zones.
#include "services/ec2/zones.h"

#include <algorithm>
#include <array>

#include "model/ec2/operations.h"
#include "model/ec2/zones.h"
#include "services/ec2/default_vpc.h"
#include "services/ec2/handlers.h"
#include "services/ec2/objects.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

m::AvailabilityZone render_zone(const std::string& region, char letter) {
  m::AvailabilityZone out;
  out.opt_in_status = "opt-in-not-required";
  out.messages.emplace();
  out.region_name = region;
  out.zone_name = region + letter;
  out.zone_id = zone_id(region, letter);
  out.group_name = region;
  out.network_border_group = region;
  out.zone_type = "availability-zone";
  out.state = "available";
  return out;
}

bool is_asked_for(const std::vector<std::string>& asked, const std::string& id) {
  return asked.empty() || std::find(asked.begin(), asked.end(), id) != asked.end();
}

Handled<m::DescribeAvailabilityZonesResult> describe_availability_zones(const Context& context,
                                                                        const m::DescribeAvailabilityZonesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"group-name", "message", "opt-in-status", "region-name", "state",
                                             "zone-id", "zone-name", "zone-type", "parent-zoneID", "parent-zoneName"});
      !checked)
    return tl::unexpected(checked.error());
  const std::string& region = context.caller.region;
  std::vector<std::string> names, ids;
  for (const char letter : kZoneLetters) names.push_back(region + letter), ids.push_back(zone_id(region, letter));
  auto check = [](const std::vector<std::string>& asked, const std::vector<std::string>& present) -> ApiResult<void> {
    for (const std::string& one : asked)
      if (std::find(present.begin(), present.end(), one) == present.end())
        return refuse("InvalidParameterValue", fmt::format("Invalid availability zone: [{}]", one));
    return {};
  };
  for (const auto& checked : {check(list(in.zone_names), names), check(list(in.zone_ids), ids)})
    if (!checked) return tl::unexpected(checked.error());
  m::DescribeAvailabilityZonesResult out;
  out.availability_zones.emplace();
  for (size_t i = 0; i < names.size(); ++i) {
    const auto visible = Filterable()
                             .with("group-name", region)
                             .with("opt-in-status", std::string("opt-in-not-required"))
                             .with("region-name", region)
                             .with("state", std::string("available"))
                             .with("zone-id", ids[i])
                             .with("zone-name", names[i])
                             .with("zone-type", std::string("availability-zone"));
    if (is_asked_for(list(in.zone_names), names[i]) && is_asked_for(list(in.zone_ids), ids[i]) &&
        visible.matches(filters))
      out.availability_zones->push_back(render_zone(region, kZoneLetters[i]));
  }
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

std::string zone_id(std::string_view region, char letter) {
  // eu-central-1 → euc1, ap-southeast-2 → apse2.
  using Direction = std::pair<std::string_view, std::string_view>;
  static constexpr std::array<Direction, 9> kDirections{{{"northeast", "ne"},
                                                         {"northwest", "nw"},
                                                         {"southeast", "se"},
                                                         {"southwest", "sw"},
                                                         {"north", "n"},
                                                         {"south", "s"},
                                                         {"east", "e"},
                                                         {"west", "w"},
                                                         {"central", "c"}}};
  std::string out;
  while (!region.empty()) {
    const size_t dash = region.find('-');
    const std::string_view part = region.substr(0, dash);
    const auto direction =
        std::find_if(kDirections.begin(), kDirections.end(), [&](const auto& known) { return known.first == part; });
    out += direction == kDirections.end() ? part : direction->second;
    region = dash == std::string_view::npos ? std::string_view() : region.substr(dash + 1);
  }
  return fmt::format("{}-az{}", out, letter - 'a' + 1);
}

ApiResult<std::string> zone_of(std::string_view region, const std::optional<std::string>& name,
                               const std::optional<std::string>& id) {
  std::vector<std::string> names, ids;
  for (const char letter : kZoneLetters)
    names.push_back(std::string(region) + letter), ids.push_back(zone_id(region, letter));
  if (!name && !id) return names.front();
  const auto& known = name ? names : ids;
  const std::string& wanted = name ? *name : *id;
  const auto at = std::find(known.begin(), known.end(), wanted);
  if (at == known.end())
    return refuse("InvalidParameterValue",
                  fmt::format("Value ({}) for parameter {} is invalid. Subnets can currently only be created in the "
                              "following availability zones: {}.",
                              wanted, name ? "availabilityZone" : "availabilityZoneId", fmt::join(known, ", ")));
  return names[static_cast<size_t>(at - known.begin())];
}

void add_zone_handlers(OperationRegistry& registry) {
  add(registry, m::kDescribeAvailabilityZones, kAnyResource, describe_availability_zones);
}

}  // namespace berth::services::ec2
