#include "model/paging.h"

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <nettle/memops.h>

#include "model/json_codec.h"

namespace berth::model {
namespace {

constexpr char kVersion = 1;
constexpr size_t kMacBytes = 16;
constexpr size_t kTokenBytesMax = 4096;

// What the token is bound to. Parts end in a byte that JSON and names never hold.
std::string bound(const Operation& operation, const Caller& caller, const void* input, std::string_view cursor) {
  std::string out;
  const auto part = [&](std::string_view text) { out.append(text) += '\0'; };
  part(operation.service->name);
  part(operation.name);
  part(caller.account);
  part(caller.region);
  for (const Member& member : operation.input->members) {
    const bool page =
        operation.paginator.input_token.empty()
            ? member.name == "nextToken" || member.name == "NextToken" || member.name == "maxResults" ||
                  member.name == "MaxResults"
            : member.name == operation.paginator.input_token || member.name == operation.paginator.limit_key;
    const void* place = static_cast<const char*>(input) + member.offset;
    const void* value = member.presence ? member.presence->get(place) : place;
    if (page || !value) continue;
    out += member.json_key;
    append_json(out, *member.shape, value);
    out += '\0';
  }
  out += '\0';
  out += cursor;
  return out;
}

std::string mac(const std::string& key, const std::string& text) {
  hmac_sha256_ctx context;
  hmac_sha256_set_key(&context, key.size(), reinterpret_cast<const uint8_t*>(key.data()));
  hmac_sha256_update(&context, text.size(), reinterpret_cast<const uint8_t*>(text.data()));
  std::string out(kMacBytes, '\0');
  hmac_sha256_digest(&context, out.size(), reinterpret_cast<uint8_t*>(out.data()));
  return out;
}

}  // namespace

std::string PageTokens::seal_raw(const Operation& operation, const Caller& caller, const void* input,
                                 std::string_view cursor) const {
  std::string raw(1, kVersion);
  raw += mac(key_, bound(operation, caller, input, cursor));
  raw += cursor;
  base64_encode_ctx context;
  base64url_encode_init(&context);
  std::string out(BASE64_ENCODE_LENGTH(raw.size()) + BASE64_ENCODE_FINAL_LENGTH, '\0');
  size_t length = base64_encode_update(&context, out.data(), raw.size(), reinterpret_cast<const uint8_t*>(raw.data()));
  length += base64_encode_final(&context, out.data() + length);
  out.resize(length);
  return out;
}

std::optional<std::string> PageTokens::open_raw(const Operation& operation, const Caller& caller, const void* input,
                                                std::string_view token) const {
  if (token.size() > kTokenBytesMax) return std::nullopt;
  base64_decode_ctx context;
  base64url_decode_init(&context);
  std::string raw(BASE64_DECODE_LENGTH(token.size()), '\0');
  size_t length = raw.size();
  if (!base64_decode_update(&context, &length, reinterpret_cast<uint8_t*>(raw.data()), token.size(), token.data()) ||
      !base64_decode_final(&context)) {
    return std::nullopt;
  }
  raw.resize(length);
  if (raw.size() < 1 + kMacBytes || raw[0] != kVersion) return std::nullopt;
  const std::string cursor = raw.substr(1 + kMacBytes);
  const std::string expected = mac(key_, bound(operation, caller, input, cursor));
  if (!memeql_sec(raw.data() + 1, expected.data(), kMacBytes)) return std::nullopt;
  return cursor;
}

}  // namespace berth::model
