#include "services/ecs/tokens.h"

#include <algorithm>

#include "services/ecs/errors.h"

namespace berth::services::ecs {
ApiResult<void> check_token(const std::optional<std::string>& token, size_t length_max) {
  if (!token) return {};
  const bool printable = std::all_of(token->begin(), token->end(), [](char c) { return c >= 33 && c <= 126; });
  if (token->empty() || token->size() > length_max || !printable)
    return invalid_parameter(
        fmt::format("clientToken must have between 1 and {} characters in the ASCII range of 33-126.", length_max));
  return {};
}

ApiResult<TokenPtr> use_token(Work& work, std::string_view operation, const std::string& token,
                              const std::string& hash) {
  auto before = work.get<records::ClientToken>(records::keys::token(work.scope, operation, token));
  if (!before) return TokenPtr();
  if (before->parameters_hash != hash) {
    ApiError conflict{"ConflictException", "The clientToken has already been used with other parameters."};
    conflict.list_members.emplace_back("resourceIds", before->resource_arns);
    return tl::unexpected(std::move(conflict));
  }
  return before;
}

void keep_token(Work& work, std::string_view operation, const std::string& token, const std::string& hash,
                const std::vector<std::string>& arns) {
  work.put(records::keys::token(work.scope, operation, token), records::ClientToken{hash, arns, work.context.now_ms});
}

}  // namespace berth::services::ecs
