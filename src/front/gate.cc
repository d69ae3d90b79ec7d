#include "front/gate.h"

#include <fmt/format.h>

namespace berth::front {

std::optional<ApiError> Gate::admit(const Served& served, const services::Context& context, const void* input) {
  auto refused = authorize(served, context, input);
  Counts& counts = counts_[served.operation];
  ++(refused ? counts.refused : counts.admitted);
  return refused;
}

Gate::Counts Gate::counts(const model::Operation& operation) const {
  const auto found = counts_.find(&operation);
  return found == counts_.end() ? Counts{} : found->second;
}

std::optional<ApiError> Gate::authorize(const Served& served, const services::Context& context,
                                        const void* input) const {
  if (context.caller.is_root() || served.access.kind == services::AccessKind::none) return std::nullopt;
  const services::AccessQuery query = services::find_access(*served.operation, served.access, context, input);
  const services::Permission* refused = decide_ ? decide_(context.caller, query) : &query.permissions().front();
  if (!refused) return std::nullopt;
  return ApiError{
      "AccessDeniedException",
      fmt::format("User: {} is not authorized to perform: {} on resource: {} because no identity-based policy "
                  "allows the {} action",
                  context.caller.arn, refused->action, refused->resources.empty() ? "*" : refused->resources.front(),
                  refused->action)};
}

}  // namespace berth::front
