// nextToken: the last key of the page before, and a digest of the query it belongs to, so that it survives a restart and
// is refused by any other query. Opaque to callers; no secret and no authority.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace berth::services::common {

// `query` holds everything but the token and the page's size that the answer depends on.
std::string page_token(std::string_view query, std::string_view last_key);
// The key after which to go on. Nothing: not a token of this query.
std::optional<std::string> open_page_token(std::string_view query, std::string_view token);

}  // namespace berth::services::common
