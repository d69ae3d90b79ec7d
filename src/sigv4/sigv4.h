// AWS Signature Version 4 in headers: canonical request, signing, verifying.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
//
// A Verifier belongs to one thread. Signing and the pure functions: any thread.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/caller.h"
#include "base/clock.h"
#include "base/result.h"
#include "sigv4/hash.h"

namespace berth::sigv4 {

struct Header {
  std::string_view name;  // as sent, of any case
  std::string_view value;
};

// Borrowed from the request's bytes.
struct Request {
  std::string_view method;
  std::string_view path;   // as on the request line, without the query
  std::string_view query;  // as on the request line, without '?'
  std::span<const Header> headers;
  std::string_view body;
};

// A key as whoever keeps them (root keys, later IAM) tells of it. Immutable once handed out.
struct Key {
  std::string access_key_id;
  std::string secret;
  std::string session_token = {};  // empty: a long-lived key
  TimeMs expires_ms = 0;           // 0: never
  std::string account = {};        // twelve digits
  std::string arn = {};            // whom it stands for
};

class KeyLookup {
 public:
  virtual ~KeyLookup() = default;
  // Null: no such key. Called on the verifier's thread; must not wait.
  virtual std::shared_ptr<const Key> find(std::string_view access_key_id) = 0;
};

struct Scope {
  std::string_view access_key_id, date, region, service;  // borrowed
};

// What `Authorization` says, before anything is believed.
struct Authorization {
  Scope scope;
  std::string_view credential_scope;  // date/region/service/aws4_request
  std::string_view signed_headers;
  std::string_view signature;
};
// Errors: MissingAuthenticationTokenException, IncompleteSignatureException.
ApiResult<Authorization> parse_authorization(std::string_view header);
// The service and region that a request says it is signed for, without verifying; empty where it says nothing.
Scope peek_scope(std::span<const Header> headers);

class Verifier {
 public:
  explicit Verifier(KeyLookup& keys) : keys_(keys) {}

  // The caller, or AWS's own error. `service` is the signing name that the request must be scoped to.
  ApiResult<Caller> verify(const Request& request, std::string_view service, TimeMs now_ms);

 private:
  struct SigningKey {
    std::shared_ptr<const Key> key;
    HmacKey hmac;
  };
  const HmacKey& signing_key(const std::shared_ptr<const Key>& key, const Authorization& authorization);

  KeyLookup& keys_;
  // By "access key/date/region/service". A day has few; cleared when it grows, so that invented regions cost nothing.
  std::unordered_map<std::string, SigningKey> signing_keys_;
  std::string name_, payload_hash_, canonical_, to_sign_, signature_;  // kept between calls for their memory
};

// Headers to add to a request (Authorization, X-Amz-Date, X-Amz-Security-Token where the key has one). The request's
// headers must hold Host.
std::vector<std::pair<std::string, std::string>> sign(const Request& request, const Key& key, std::string_view region,
                                                      std::string_view service, TimeMs now_ms);

// --- parts, for tests and the reports of mismatches ---

// "20150830T123600Z", and back (nothing where it is no such time).
std::string format_date(TimeMs time_ms);
std::optional<TimeMs> parse_date(std::string_view text);
// `signed_headers` in the order of their list, lower case, separated by ';'. False: one of them is not in the request.
bool append_canonical_request(std::string& out, const Request& request, std::string_view signed_headers,
                              std::string_view payload_hash, bool normalize_path = true);
HmacKey derive_key(std::string_view secret, std::string_view date, std::string_view region, std::string_view service);

}  // namespace berth::sigv4
