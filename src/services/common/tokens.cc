#include "services/common/tokens.h"

#include <fmt/format.h>

#include "base/hash.h"

namespace berth::services::common {

std::string text_hash(std::string_view text) { return fmt::format("{:016x}-{}", fnv1a(text), text.size()); }

}  // namespace berth::services::common
