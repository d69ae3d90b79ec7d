#include "services/common/arn.h"

namespace berth::services::common {

std::optional<Arn> parse_arn(std::string_view text) {
  if (!text.starts_with("arn:")) return std::nullopt;
  std::string_view parts[5];
  for (auto& part : parts) {
    const size_t at = text.find(':');
    if (at == std::string_view::npos) return std::nullopt;
    part = text.substr(0, at);
    text.remove_prefix(at + 1);
  }
  if (text.empty() || parts[1].empty() || parts[2].empty()) return std::nullopt;
  return Arn{std::string(parts[1]), std::string(parts[2]), std::string(parts[3]), std::string(parts[4]),
             std::string(text)};
}

}  // namespace berth::services::common
