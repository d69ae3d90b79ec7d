// What a request asks of IAM: which actions, on which resources, under which condition keys. Each operation is registered
// with a finder that tells it from the request's input alone, so that policies can be evaluated before a handler runs.
// Names are those of AWS's Service Authorization Reference.
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::services {

struct Context;

struct Permission {
  std::string action;                                                // "ecs:RunTask"
  std::vector<std::string> resources = {};                           // ARNs, or "*"; each must be allowed
  std::vector<std::pair<std::string, std::string>> conditions = {};  // a key of several values stands several times
};

// Filled by a finder. The operation's own action comes first, and what it needs beside that after it.
class AccessQuery {
 public:
  explicit AccessQuery(std::string action) { permissions_.push_back({std::move(action)}); }

  void resource(std::string arn) { permissions_.front().resources.push_back(std::move(arn)); }
  void every_resource() { resource("*"); }
  void condition(std::string_view key, std::string value) {
    permissions_.front().conditions.emplace_back(key, std::move(value));
  }
  void also(Permission permission) { permissions_.push_back(std::move(permission)); }
  // iam:PassRole of a role that the request hands to a service.
  void pass_role(std::string role_arn, std::string_view to_service) {
    also({"iam:PassRole", {std::move(role_arn)}, {{"iam:PassedToService", std::string(to_service)}}});
  }

  const std::vector<Permission>& permissions() const { return permissions_; }

 private:
  std::vector<Permission> permissions_;
};

enum class AccessKind {
  resources,     // the finder names them
  any_resource,  // the action has no resource-level permissions: "*"
  none,          // everybody may: sts:GetCallerIdentity
};

struct AnyResource {};
struct NoPermission {};
inline constexpr AnyResource kAnyResource;
inline constexpr NoPermission kNoPermission;

// What stands beside a handler in its registration: a finder, or one of the two constants above. `action` only where it is
// not "service:Operation".
template <class In>
struct Access {
  using Find = void (*)(const Context&, const In&, AccessQuery&);

  Access(AnyResource, std::string_view named = {}) : kind(AccessKind::any_resource), action(named) {}  // NOLINT
  Access(NoPermission) : kind(AccessKind::none) {}                                                     // NOLINT
  Access(Find function, std::string_view named = {}) : action(named), find(function) {}                // NOLINT
  template <class F>
  requires std::invocable<F, const Context&, const In&, AccessQuery&> Access(F function, std::string_view named = {})
      : action(named), find(std::move(function)) {}  // NOLINT

  AccessKind kind = AccessKind::resources;
  std::string_view action;  // static text
  std::function<void(const Context&, const In&, AccessQuery&)> find = {};
};

// The same with the input's type erased.
struct ErasedAccess {
  AccessKind kind;
  std::string_view action;  // empty: "service:Operation"
  std::function<void(const Context&, const void* input, AccessQuery&)> find;
};

// The service's part of an action. It is the name that requests are signed for, but for a few.
inline std::string_view iam_prefix(std::string_view signing_name) {
  return signing_name == "monitoring" ? "cloudwatch" : signing_name;
}

// Costs what the finder does: asked only where somebody's permissions must be known.
template <class Operation>
AccessQuery find_access(const Operation& operation, const ErasedAccess& access, const Context& context,
                        const void* input) {
  std::string action(access.action);
  if (action.empty()) action.append(iam_prefix(operation.service->signing_name)).append(":").append(operation.name);
  AccessQuery query(std::move(action));
  if (access.kind == AccessKind::any_resource) query.every_resource();
  if (access.find) access.find(context, input, query);
  return query;
}

}  // namespace berth::services
