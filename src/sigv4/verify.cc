#include <fmt/format.h>

#include <algorithm>

#include "base/limits.h"
#include "sigv4/sigv4.h"

namespace berth::sigv4 {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr size_t kSigningKeysMax = 256;

tl::unexpected<ApiError> incomplete(std::string message) {
  return refuse("IncompleteSignatureException", std::move(message));
}
tl::unexpected<ApiError> invalid(std::string message) {
  return refuse("InvalidSignatureException", std::move(message));
}

bool equal_ignoring_case(std::string_view lower, std::string_view text) {
  return lower.size() == text.size() && std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? b + 32 : b);
         });
}

std::string_view find_header(std::span<const Header> headers, std::string_view lower) {
  for (const Header& header : headers) {
    if (equal_ignoring_case(lower, header.name)) return header.value;
  }
  return {};
}

// `list` is in lower case, separated by ';'.
bool is_signed(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const size_t end = std::min(list.find(';'), list.size());
    if (equal_ignoring_case(list.substr(0, end), name)) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

bool is_region(std::string_view region) {
  return !region.empty() && region.size() <= 32 && std::ranges::all_of(region, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

// access-key/date/region/service/aws4_request
bool split_credential(std::string_view credential, Authorization& out) {
  const size_t first = credential.find('/');
  if (first == credential.npos || first == 0) return false;
  out.scope.access_key_id = credential.substr(0, first);
  out.credential_scope = credential.substr(first + 1);
  std::string_view rest = out.credential_scope;
  for (std::string_view* part : {&out.scope.date, &out.scope.region, &out.scope.service}) {
    const size_t slash = rest.find('/');
    if (slash == rest.npos) return false;
    *part = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
  }
  return rest == "aws4_request";
}

}  // namespace

ApiResult<Authorization> parse_authorization(std::string_view header) {
  header = trimmed(header);
  if (header.empty()) return refuse("MissingAuthenticationTokenException", "Missing Authentication Token");
  if (!header.starts_with(kAlgorithm) || header.size() == kAlgorithm.size() || header[kAlgorithm.size()] != ' ') {
    return incomplete(
        fmt::format("Unsupported AWS 'algorithm': '{}'.", header.substr(0, std::min<size_t>(header.find(' '), 64))));
  }
  Authorization out;
  bool has_credential = false, has_headers = false, has_signature = false;
  std::string_view rest = header.substr(kAlgorithm.size() + 1);
  while (!rest.empty()) {
    const size_t comma = std::min(rest.find(','), rest.size());
    const std::string_view part = trimmed(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (part.starts_with("Credential=")) {
      has_credential = true;
      if (!split_credential(part.substr(11), out)) {
        return incomplete(
            fmt::format("Credential must have at least 5 slash-delimited elements, got '{}'.", part.substr(11, 200)));
      }
    } else if (part.starts_with("SignedHeaders=")) {
      has_headers = true;
      out.signed_headers = part.substr(14);
    } else if (part.starts_with("Signature=")) {
      has_signature = true;
      out.signature = part.substr(10);
    }
  }
  std::string missing;
  if (!has_credential) missing += "Authorization header requires 'Credential' parameter. ";
  if (!has_signature) missing += "Authorization header requires 'Signature' parameter. ";
  if (!has_headers) missing += "Authorization header requires 'SignedHeaders' parameter. ";
  if (!missing.empty()) return incomplete(missing.substr(0, missing.size() - 1));
  return out;
}

Scope peek_scope(std::span<const Header> headers) {
  const auto authorization = parse_authorization(find_header(headers, "authorization"));
  return authorization ? authorization->scope : Scope{};
}

const HmacKey& Verifier::signing_key(const std::shared_ptr<const Key>& key, const Authorization& authorization) {
  name_.assign(key->access_key_id).append("/").append(authorization.credential_scope);
  const auto found = signing_keys_.find(name_);
  if (found != signing_keys_.end() && found->second.key->secret == key->secret) return found->second.hmac;
  if (signing_keys_.size() >= kSigningKeysMax) signing_keys_.clear();
  const Scope& scope = authorization.scope;
  const auto made = signing_keys_.insert_or_assign(
      name_, SigningKey{key, derive_key(key->secret, scope.date, scope.region, scope.service)});
  return made.first->second.hmac;
}

ApiResult<Caller> Verifier::verify(const Request& request, std::string_view service, TimeMs now_ms) {
  if (request.query.find("X-Amz-Signature=") != request.query.npos ||
      request.query.find("X-Amz-Algorithm=") != request.query.npos) {
    return incomplete(
        "Signatures in the query string (presigned URLs) are not served: sign the request in its Authorization header.");
  }
  const auto authorization = parse_authorization(find_header(request.headers, "authorization"));
  if (!authorization) return tl::unexpected(authorization.error());
  const Scope& scope = authorization->scope;

  std::string_view date_text = trimmed(find_header(request.headers, "x-amz-date"));
  if (date_text.empty())
    return incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  const auto date = parse_date(date_text);
  if (!date)
    return incomplete(fmt::format("Date must be in ISO-8601 'basic format'. Got '{}'.", date_text.substr(0, 64)));

  const std::shared_ptr<const Key> key = keys_.find(scope.access_key_id);
  const std::string_view token = trimmed(find_header(request.headers, "x-amz-security-token"));
  if (!key || !equal_in_constant_time(key->session_token, token)) {
    return refuse("UnrecognizedClientException", "The security token included in the request is invalid.");
  }
  if (key->expires_ms != 0 && key->expires_ms <= now_ms) {
    return refuse("ExpiredTokenException", "The security token included in the request is expired");
  }
  if (scope.service != service)
    return invalid(fmt::format("Credential should be scoped to correct service: '{}'.", service));
  if (!is_region(scope.region)) return invalid("Credential should be scoped to a valid region.");
  if (scope.date != date_text.substr(0, 8)) {
    return invalid(fmt::format(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{}', from '{}'.",
        scope.date.substr(0, 16), date_text.substr(0, 8), date_text));
  }
  if (*date < now_ms - limits::kClockSkewMaxMs) {
    return invalid(fmt::format("Signature expired: {} is now earlier than {} ({} - {} min.)", date_text,
                               format_date(now_ms - limits::kClockSkewMaxMs), format_date(now_ms),
                               limits::kClockSkewMaxMs / 60000));
  }
  if (*date > now_ms + limits::kClockSkewMaxMs) {
    return invalid(fmt::format("Signature not yet current: {} is still later than {} ({} + {} min.)", date_text,
                               format_date(now_ms + limits::kClockSkewMaxMs), format_date(now_ms),
                               limits::kClockSkewMaxMs / 60000));
  }
  // AWS wants these under the signature: without them another host or action could be asked for in the caller's name.
  if (!is_signed(authorization->signed_headers, "host")) {
    return invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const Header& header : request.headers) {
    if (!equal_ignoring_case("x-amz-", header.name.substr(0, 6)) ||
        equal_ignoring_case("x-amz-user-agent", header.name))
      continue;
    if (!is_signed(authorization->signed_headers, header.name)) {
      return invalid(
          fmt::format("'{}' must be a 'SignedHeader' in the AWS Authorization.", header.name.substr(0, 128)));
    }
  }

  // The payload's hash is always our own of what arrived; only S3 lets a caller leave it out.
  payload_hash_.clear();
  append_hex(payload_hash_, sha256(request.body));
  canonical_.clear();
  const bool complete = append_canonical_request(canonical_, request, authorization->signed_headers, payload_hash_);
  to_sign_.assign(kAlgorithm)
      .append("\n")
      .append(date_text)
      .append("\n")
      .append(authorization->credential_scope)
      .append("\n");
  append_hex(to_sign_, sha256(canonical_));
  signature_.clear();
  append_hex(signature_, signing_key(key, *authorization).sign(to_sign_));
  if (!complete || !equal_in_constant_time(signature_, authorization->signature)) {
    return invalid(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and "
        "signing method. Consult the service documentation for details.");
  }
  return Caller{key->account, std::string(scope.region), key->arn, key->access_key_id};
}

}  // namespace berth::sigv4
