#include "sigv4/hash.h"

#include <nettle/memops.h>
#include <nettle/sha2.h>

namespace berth::sigv4 {
namespace {
const uint8_t* bytes(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }
}  // namespace

Digest sha256(std::string_view text) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, text.size(), bytes(text));
  Digest digest;
  sha256_digest(&context, digest.size(), digest.data());
  return digest;
}

Digest hmac_sha256(std::string_view key, std::string_view text) { return HmacKey(key).sign(text); }

void append_hex(std::string& out, const Digest& digest) {
  static constexpr char kHex[] = "0123456789abcdef";
  char text[64];
  for (size_t i = 0; i < digest.size(); ++i) {
    text[2 * i] = kHex[digest[i] >> 4];
    text[2 * i + 1] = kHex[digest[i] & 15];
  }
  out.append(text, sizeof text);
}

std::string hex(const Digest& digest) {
  std::string out;
  append_hex(out, digest);
  return out;
}

std::string_view view(const Digest& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && memeql_sec(a.data(), b.data(), a.size());
}

HmacKey::HmacKey(std::string_view key) { hmac_sha256_set_key(&context_, key.size(), bytes(key)); }

Digest HmacKey::sign(std::string_view text) const {
  hmac_sha256_ctx context = context_;
  hmac_sha256_update(&context, text.size(), bytes(text));
  Digest digest;
  hmac_sha256_digest(&context, digest.size(), digest.data());
  return digest;
}

}  // namespace berth::sigv4
