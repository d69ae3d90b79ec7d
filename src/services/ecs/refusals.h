// What a request asks for that the manifest says is not served when a task runs. Pure; reads the model's tables.
#pragma once

#include <string>

#include "model/descriptor.h"

namespace berth::services::ecs {

// The sentence of the first such member, in the model's order; empty: none. Empty lists and absent members ask nothing.
std::string first_refusal_at_run(const model::Shape& shape, const void* value);

}  // namespace berth::services::ecs
