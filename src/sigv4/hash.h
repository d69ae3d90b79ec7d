// SHA-256 and HMAC-SHA256 over nettle, as values. Any thread.
#pragma once

#include <nettle/hmac.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace berth::sigv4 {

using Digest = std::array<uint8_t, 32>;

Digest sha256(std::string_view text);
Digest hmac_sha256(std::string_view key, std::string_view text);
void append_hex(std::string& out, const Digest& digest);
std::string hex(const Digest& digest);
std::string_view view(const Digest& digest);  // borrowed bytes

// Takes as long for every pair of equal lengths. Of different lengths: false at once (lengths are no secret).
bool equal_in_constant_time(std::string_view a, std::string_view b);

// A key whose two half-finished hashes are kept, so that a signature costs only its own text.
class HmacKey {
 public:
  explicit HmacKey(std::string_view key);
  Digest sign(std::string_view text) const;

 private:
  hmac_sha256_ctx context_;
};

}  // namespace berth::sigv4
