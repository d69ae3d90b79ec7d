// The error types and texts that more than one operation answers with. Texts are AWS's own where a public report shows
// them; tests/cases holds a case for each.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/result.h"

namespace berth::services::ecs {

inline tl::unexpected<ApiError> invalid_parameter(std::string text) {
  return refuse("InvalidParameterException", std::move(text));
}
inline tl::unexpected<ApiError> client_error(std::string text) { return refuse("ClientException", std::move(text)); }

inline tl::unexpected<ApiError> cluster_not_found() { return refuse("ClusterNotFoundException", "Cluster not found."); }
inline tl::unexpected<ApiError> cluster_inactive() {
  return refuse("ClusterNotFoundException", "The referenced cluster was inactive.");
}
inline tl::unexpected<ApiError> service_not_found() { return refuse("ServiceNotFoundException", "Service not found."); }
inline tl::unexpected<ApiError> service_not_active() {
  return refuse("ServiceNotActiveException", "Service was not ACTIVE.");
}
inline tl::unexpected<ApiError> task_not_found() { return invalid_parameter("The referenced task was not found."); }

// What is modelled by AWS, understood, and not served: said at once rather than promised and not kept.
inline tl::unexpected<ApiError> not_served(std::string_view what) {
  return invalid_parameter(fmt::format("Berth does not serve {} yet.", what));
}

}  // namespace berth::services::ecs
