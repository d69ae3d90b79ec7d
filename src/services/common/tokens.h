// Idempotency tokens: what of a request a token stands for. The records are records::ClientToken; a token that comes again
// with the same parameters gets the same answer, with others the service's own conflict.
#pragma once

#include <string>
#include <string_view>

#include "services/common/kept.h"

namespace berth::services::common {

std::string text_hash(std::string_view text);
// Of everything but the token itself.
template <class In>
std::string parameters_hash(const In& in) {
  In without = in;
  without.client_token.reset();
  return text_hash(to_kept(without));
}

}  // namespace berth::services::common
