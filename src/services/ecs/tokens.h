// Idempotency tokens: the same token with the same parameters gets the same answer, with others a conflict.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/common/tokens.h"
#include "services/ecs/lookup.h"

namespace berth::services::ecs {

// At most `length_max` characters of printable ASCII without the space.
ApiResult<void> check_token(const std::optional<std::string>& token, size_t length_max);

using common::parameters_hash;
using common::text_hash;

using TokenPtr = std::shared_ptr<const records::ClientToken>;
// Null: a new token. ConflictException where it was used with other parameters.
ApiResult<TokenPtr> use_token(Work& work, std::string_view operation, const std::string& token,
                              const std::string& hash);
// Good for a day, and for as long as one of its tasks can be described: control erases it then.
void keep_token(Work& work, std::string_view operation, const std::string& token, const std::string& hash,
                const std::vector<std::string>& arns);

}  // namespace berth::services::ecs
