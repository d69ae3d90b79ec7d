#include "control/loop/retention.h"

#include <algorithm>
#include <string_view>

#include "records/cluster.h"
#include "records/keys.h"
#include "records/network.h"
#include "records/read.h"
#include "records/service.h"
#include "records/task_definition.h"

namespace berth::control {

namespace keys = records::keys;

namespace {

constexpr size_t kStepMax = 256;
constexpr std::string_view kNatGateways = "ec2/nat-gateway/";
constexpr std::array<std::string_view, 5> kKinds{keys::kCluster, keys::kToken, keys::kLeavingDefinition,
                                                 keys::kEc2Token, kNatGateways};

bool is_of_run_task(std::string_view token_key) {
  // ecs/token/<account>/<region>/<operation>/<token>
  size_t at = keys::kToken.size();
  for (int i = 0; i < 2; ++i) at = token_key.find('/', at) + 1;
  return token_key.substr(at).starts_with("RunTask/");
}

}  // namespace

std::vector<std::string_view> Retention::prefixes() const { return {kKinds.begin(), kKinds.end()}; }

void Retention::changed(const state::Change& change) {
  if (change.value) sooner(judge({change.key, change.value}, 0).due_at_ms);
}

void Retention::sooner(TimeMs at_ms) {
  if (at_ms != 0 && (next_at_ms_ == 0 || at_ms < next_at_ms_)) next_at_ms_ = at_ms;
}

TimeMs Retention::idle(TimeMs now_ms) {
  if (!walking_) {
    if (next_at_ms_ == 0) return 0;
    const TimeMs at = std::max(next_at_ms_, not_before_ms_);
    if (now_ms < at) return at;
    walking_ = true;
    next_at_ms_ = 0;
    kind_ = 0;
    after_.clear();
  }
  const auto entries = store_.range(kKinds[kind_], after_, kStepMax);
  for (const state::Entry& entry : entries) {
    after_ = entry.key;
    const Verdict verdict = judge(entry, now_ms);
    if (verdict.due_at_ms != 0 && verdict.due_at_ms <= now_ms)
      erase(entry, verdict);
    else
      sooner(verdict.due_at_ms);
  }
  if (entries.size() == kStepMax) return now_ms;
  after_.clear();
  if (++kind_ < kKinds.size()) return now_ms;
  walking_ = false;
  not_before_ms_ = now_ms + settings_.pause_ms;
  if (next_at_ms_ == 0) return 0;
  return std::max(next_at_ms_, not_before_ms_);
}

// With `now_ms` 0, when it is due at the earliest.
Retention::Verdict Retention::judge(const state::Entry& entry, TimeMs now_ms) const {
  if (entry.key.starts_with(keys::kToken)) return judge_token(entry, now_ms);
  if (entry.key.starts_with(keys::kLeavingDefinition)) return judge_definition(entry, now_ms);
  if (entry.key.starts_with(keys::kEc2Token))
    return {records::decoded<records::ClientToken>(entry.value)->created_at_ms + settings_.token_kept_ms};
  if (entry.key.starts_with(kNatGateways)) {
    const TimeMs over_at_ms = records::decoded<records::NatGateway>(entry.value)->deleted_at_ms;
    if (over_at_ms == 0) return {};
    return {over_at_ms + settings_.inactive_kept_ms, {"ec2/tags/" + entry.key.substr(kNatGateways.size())}};
  }
  const auto cluster = records::decoded<records::Cluster>(entry.value);
  if (cluster->status == "ACTIVE") return {};
  return {cluster->inactive_at_ms + settings_.inactive_kept_ms};
}

// Those of CreateService stand for the service, and go with it.
Retention::Verdict Retention::judge_token(const state::Entry& entry, TimeMs now_ms) const {
  if (!is_of_run_task(entry.key)) return {};
  const auto token = records::decoded<records::ClientToken>(entry.value);
  const TimeMs due = token->created_at_ms + settings_.token_kept_ms;
  if (now_ms < due) return {due};
  const bool described = std::any_of(token->resource_arns.begin(), token->resource_arns.end(), [&](const auto& arn) {
    const auto path = keys::task_path_of_arn(arn);
    return path && index_.find(*path);
  });
  return {described ? now_ms + settings_.pause_ms : due};
}

Retention::Verdict Retention::judge_definition(const state::Entry& entry, TimeMs now_ms) const {
  const TimeMs due =
      records::decoded<records::LeavingDefinition>(entry.value)->delete_requested_at_ms + settings_.inactive_kept_ms;
  if (now_ms < due) return {due};
  const keys::DefinitionPath path = keys::definition_path(entry.key);
  if (is_named(path)) return {now_ms + settings_.pause_ms};
  return {due, {keys::task_definition(path.scope, path.family, path.revision)}};
}

// By a task that can be described, which shows its containers, or by a service, which may yet start one.
bool Retention::is_named(const keys::DefinitionPath& path) const {
  if (index_.naming_definition(path.scope, path.family, path.revision) > 0) return true;
  const std::string services = fmt::format("{}{}/{}/", keys::kServiceSpec, path.scope.account, path.scope.region);
  for (const auto& [key, spec] : records::range<records::ServiceSpec>(store_, services)) {
    const auto status =
        records::get<records::ServiceStatus>(store_, keys::service(keys::kServiceStatus, keys::service_path(key)));
    if (records::names_definition(*spec, status.get(), path.family, path.revision)) return true;
  }
  return false;
}

// Derived: what power loss brings back is erased again. One that was made anew meanwhile is a conflict, and stays.
void Retention::erase(const state::Entry& entry, const Verdict& verdict) {
  state::Transaction transaction;
  transaction.reads.push_back({entry.key, false, entry.mod_revision});
  transaction.erase(entry.key);
  for (const std::string& key : verdict.also) transaction.erase(key);
  if (!store_.apply(std::move(transaction))) sooner(1);
}

}  // namespace berth::control
