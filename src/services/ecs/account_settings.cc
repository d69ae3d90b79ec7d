// ListAccountSettings, PutAccountSetting, PutAccountSettingDefault. The account's default is kept under its root.
#include "services/ecs/account_settings.h"

#include <algorithm>

#include "services/ecs/errors.h"
#include "services/ecs/identifiers.h"
#include "services/ecs/lookup.h"
#include "services/ecs/paging.h"
#include "services/ecs/settings_table.h"

namespace berth::services::ecs {
namespace {

constexpr PageSizes kPageSizes{10, 10};

const AccountSettingRule* rule_of(std::string_view name) {
  const auto at = std::find_if(kAccountSettings.begin(), kAccountSettings.end(),
                               [&](const auto& rule) { return rule.name == name; });
  return at == kAccountSettings.end() ? nullptr : &*at;
}

tl::unexpected<ApiError> unknown_name() {
  std::string names;
  for (const auto& rule : kAccountSettings) names += (names.empty() ? "" : ",") + std::string(rule.name);
  return invalid_parameter(fmt::format("name should be one of [{}]", names));
}

ApiResult<void> check(const std::string& name, const std::string& value) {
  const AccountSettingRule* rule = rule_of(name);
  if (rule == nullptr) return unknown_name();
  if (rule->type == "aws_managed")
    return invalid_parameter(fmt::format("{} is managed by AWS and cannot be changed.", name));
  // Terraform disables what it has enabled when it destroys, and takes these words for done.
  if (rule->values == "enabled" && value == "disabled")
    return invalid_parameter("You can no longer disable Long Arn settings");
  if (!is_one_of(rule->values, value)) return invalid_parameter("Invalid setting 'value'");
  return {};
}

m::Setting render(const std::string& name, const std::string& value, const std::string& principal) {
  m::Setting out;
  out.name = name;
  out.value = value;
  out.principal_arn = principal;
  out.type = std::string(rule_of(name)->type);
  return out;
}

// The principal's own, then the account's default, then AWS's.
std::string effective(Work& work, const AccountSettingRule& rule, const std::string& principal) {
  for (const std::string& owner : {principal, root_arn(work.scope)})
    if (const auto set = work.get<records::AccountSetting>(records::keys::setting(work.scope, owner, rule.name)))
      return set->value;
  return std::string(rule.otherwise);
}

m::Setting put(Work& work, const std::string& principal, const std::string& name, const std::string& value) {
  work.put(records::keys::setting(work.scope, principal, name), records::AccountSetting{name, value, principal});
  return render(name, value, principal);
}

}  // namespace

Handled<m::ListAccountSettingsResponse> list_account_settings(const Context& context,
                                                              const m::ListAccountSettingsRequest& in) {
  Work work(context);
  if (in.name && rule_of(*in.name) == nullptr) return unknown_name();
  if (in.value && !in.name) return invalid_parameter("name must be given with value.");
  const std::string principal = in.principal_arn.value_or(context.caller.arn);
  const bool all = flag(in.effective_settings, false);
  // The pager carries names; each has at most one value.
  auto pager = Pager::open(
      work.scope, fmt::format("ListAccountSettings/{}/{}/{}/{}", text(in.name), text(in.value), principal, all),
      in.next_token, in.max_results, kPageSizes);
  if (!pager) return tl::unexpected(pager.error());
  std::vector<m::Setting> found;
  for (const auto& rule : kAccountSettings) {
    const std::string name(rule.name);
    if (in.name && *in.name != name) continue;
    const auto set = work.get<records::AccountSetting>(records::keys::setting(work.scope, principal, name));
    if (!all && !set) continue;
    const std::string value = set ? set->value : effective(work, rule, principal);
    if (in.value && *in.value != value) continue;
    found.push_back(render(name, value, principal));
  }
  m::ListAccountSettingsResponse out;
  out.settings.emplace();
  bool begun = pager->start().empty();
  for (auto& setting : found) {
    const std::string name = *setting.name;
    if (begun) {
      if (!pager->add(name, name)) break;
      out.settings->push_back(std::move(setting));
    }
    begun = begun || name == pager->start();
  }
  out.next_token = std::move(*pager).finish().next_token;
  return out;
}

Handled<m::PutAccountSettingResponse> put_account_setting(const Context& context,
                                                          const m::PutAccountSettingRequest& in) {
  Work work(context);
  if (auto checked = check(in.name, in.value); !checked) return tl::unexpected(checked.error());
  const std::string principal = in.principal_arn.value_or(context.caller.arn);
  const auto arn = parse_arn(principal);
  if (!arn || arn->service != "iam" || arn->account != work.scope.account)
    return invalid_parameter("The principalArn is not a user, role or root of this account.");
  m::PutAccountSettingResponse out;
  out.setting = put(work, principal, in.name, in.value);
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::PutAccountSettingDefaultResponse> put_account_setting_default(const Context& context,
                                                                         const m::PutAccountSettingDefaultRequest& in) {
  Work work(context);
  if (auto checked = check(in.name, in.value); !checked) return tl::unexpected(checked.error());
  m::PutAccountSettingDefaultResponse out;
  out.setting = put(work, root_arn(work.scope), in.name, in.value);
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace berth::services::ecs
