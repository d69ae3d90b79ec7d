// The one place that every request passes before its handler: here it is authorised and counted, and here it will be
// throttled. State thread.
//
// The root may do everything, so what a request asks of IAM is computed only for others. Until IAM is served there are no
// others; without a `decide` they are refused.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <unordered_map>

#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::front {

class Gate {
 public:
  using Served = services::Served<model::Operation>;
  // The permission that is refused, if any.
  using Decide = std::function<const services::Permission*(const Caller&, const services::AccessQuery&)>;
  struct Counts {
    uint64_t admitted = 0;
    uint64_t refused = 0;
  };

  explicit Gate(Decide decide = {}) : decide_(std::move(decide)) {}

  // Nothing where the request may go on.
  std::optional<ApiError> admit(const Served& served, const services::Context& context, const void* input);
  Counts counts(const model::Operation& operation) const;

 private:
  std::optional<ApiError> authorize(const Served& served, const services::Context& context, const void* input) const;

  const Decide decide_;
  std::unordered_map<const model::Operation*, Counts> counts_;
};

}  // namespace berth::front
