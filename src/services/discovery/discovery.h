// AWS Cloud Map's handlers.
#pragma once

#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::services::discovery {

// `started`: the store's head now. DiscoverInstances' revisions begin there, so that they never go back.
void add_handlers(Registry<model::Operation>& registry, state::Revision started);

}  // namespace berth::services::discovery
