// Handlers of tags. Pure; state thread.
#pragma once

#include "model/ecs/tag.h"
#include "services/ecs/shapes.h"
#include "services/handler.h"

namespace berth::services::ecs {

Handled<m::TagResourceResponse> tag_resource(const Context& context, const m::TagResourceRequest& in);
Handled<m::UntagResourceResponse> untag_resource(const Context& context, const m::UntagResourceRequest& in);
Handled<m::ListTagsForResourceResponse> list_tags_for_resource(const Context& context,
                                                               const m::ListTagsForResourceRequest& in);

}  // namespace berth::services::ecs
