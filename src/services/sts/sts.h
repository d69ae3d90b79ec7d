// AWS STS: GetCallerIdentity.
#pragma once

#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::services::sts {

void add_handlers(Registry<model::Operation>& registry);

}  // namespace berth::services::sts
