#include "control/deployment/deployment.h"

#include <algorithm>
#include <utility>

#include "control/deployment/reconcile.h"

namespace berth::control::deployment {

using records::Revision;
using records::ServiceStatus;

int breaker_threshold(int desired_count) { return std::clamp(desired_count / 2 + desired_count % 2, 3, 200); }

int64_t back_off_ms(int failures, const Settings& settings) {
  if (failures <= 0) return 0;
  int64_t wait = settings.back_off_first_ms;
  for (int i = 1; i < failures && wait < settings.back_off_max_ms; ++i) wait *= 2;
  return std::min(wait, settings.back_off_max_ms);
}

const Revision& primary_revision(const records::ServiceSpec& spec, const ServiceStatus* status) {
  const bool new_deployment = !status || status->incarnation != spec.incarnation ||
                              status->generation != spec.generation || status->deployments.empty();
  return new_deployment ? spec.target : status->deployments.front().revision;
}

ServicePlan decide(const ServiceSnapshot& service, TimeMs now_ms, Random& random, const Settings& settings) {
  return Reconcile(service, now_ms, random, settings).run();
}

}  // namespace berth::control::deployment
