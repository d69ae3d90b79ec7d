// Idempotency tokens: the same token with the same parameters gets the same answer, with others a conflict.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "services/ecs/kept.h"
#include "services/ecs/lookup.h"

namespace berth::services::ecs {

// At most `length_max` characters of printable ASCII without the space.
ApiResult<void> check_token(const std::optional<std::string>& token, size_t length_max);

std::string text_hash(std::string_view text);
// Of everything but the token itself.
template <class In>
std::string parameters_hash(const In& in) {
  In without = in;
  without.client_token.reset();
  return text_hash(to_kept(without));
}

using TokenPtr = std::shared_ptr<const records::ClientToken>;
// Null: a new token. ConflictException where it was used with other parameters.
ApiResult<TokenPtr> use_token(Work& work, std::string_view operation, const std::string& token,
                              const std::string& hash);
// Good for a day, and for as long as one of its tasks can be described: control erases it then.
void keep_token(Work& work, std::string_view operation, const std::string& token, const std::string& hash,
                const std::vector<std::string>& arns);

}  // namespace berth::services::ecs
