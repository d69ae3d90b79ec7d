#include "sigv4/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/limits.h"

namespace berth::sigv4 {
namespace {

using testing::HasSubstr;

constexpr std::string_view kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
constexpr TimeMs kNow = 1772366400000;  // 2026-03-01T12:00:00Z, when the vectors were made

class Keys final : public KeyLookup {
 public:
  std::shared_ptr<const Key> find(std::string_view access_key_id) override {
    return access_key_id == key.access_key_id ? std::make_shared<const Key>(key) : nullptr;
  }
  Key key{"AKIDEXAMPLE", std::string(kSecret), "", 0, "123456789012", "arn:aws:iam::123456789012:root"};
};

// A request with memory of its own.
struct Owned {
  std::string method = "POST", path = "/", query, body, service = "ecs", token;
  std::vector<std::pair<std::string, std::string>> headers;
  std::vector<Header> views;

  Request request() {
    views.clear();
    for (const auto& [name, value] : headers) views.push_back({name, value});
    return {method, path, query, views, body};
  }
  std::string* header(std::string_view name) {
    for (auto& [key, value] : headers) {
      if (key == name) return &value;
    }
    return nullptr;
  }
};

Owned signed_request(const Key& key, TimeMs now_ms = kNow, std::string_view service = "ecs",
                     std::string_view region = "eu-central-1") {
  Owned owned;
  owned.body = R"({"cluster":"a"})";
  owned.headers = {{"Host", "127.0.0.1"}, {"X-Amz-Target", "T.Op"}};
  for (auto& header : sign(owned.request(), key, region, service, now_ms)) owned.headers.push_back(header);
  return owned;
}

ApiError refused(Keys& keys, Owned& owned, TimeMs now_ms = kNow, std::string_view service = "ecs") {
  const auto caller = Verifier(keys).verify(owned.request(), service, now_ms);
  return caller ? ApiError{"accepted", ""} : caller.error();
}

std::vector<Owned> vectors() {
  std::vector<Owned> out(1);
  std::ifstream file(BERTH_SOURCE_DIR "/src/sigv4/vectors/vectors.txt");
  for (std::string line; std::getline(file, line);) {
    const size_t space = std::min(line.find(' '), line.size());
    const std::string word = line.substr(0, space), rest = space < line.size() ? line.substr(space + 1) : "";
    Owned& last = out.back();
    if (word == "---") {
      out.emplace_back();
    } else if (word == "method") {
      last.method = rest;
    } else if (word == "target") {
      const size_t question = rest.find('?');
      last.path = rest.substr(0, question);
      if (question != rest.npos) last.query = rest.substr(question + 1);
    } else if (word == "body") {
      for (size_t i = 0; i < rest.size(); i += 2)
        last.body += static_cast<char>(std::stoi(rest.substr(i, 2), nullptr, 16));
    } else if (word == "service") {
      last.service = rest;
    } else if (word == "token") {
      last.token = rest;
    } else if (word == "authorization") {
      last.headers.emplace_back("Authorization", rest);
    } else if (word == "header") {
      const size_t name_end = rest.find(' ');
      last.headers.emplace_back(rest.substr(0, name_end), rest.substr(name_end + 1));
    }
  }
  out.pop_back();
  return out;
}

TEST(Vectors, WhatBotocoreSignsIsAccepted) {
  auto all = vectors();
  ASSERT_GE(all.size(), 10u);
  for (Owned& vector : all) {
    Keys keys;
    keys.key.session_token = vector.token;
    const auto caller = Verifier(keys).verify(vector.request(), vector.service, kNow);
    EXPECT_TRUE(caller) << vector.method << " " << vector.path << "?" << vector.query << ": " << caller.error().message;
    if (caller) {
      EXPECT_EQ(caller->region, "eu-central-1");
    }
  }
}

TEST(Vectors, AnyChangedByteIsRefused) {
  for (Owned& vector : vectors()) {
    Keys keys;
    keys.key.session_token = vector.token;
    Owned changed = vector;
    changed.body += "x";
    EXPECT_EQ(refused(keys, changed, kNow, vector.service).type, "InvalidSignatureException");
    changed = vector;
    changed.path += "x";
    EXPECT_EQ(refused(keys, changed, kNow, vector.service).type, "InvalidSignatureException");
    changed = vector;
    changed.query += "&x=1";
    EXPECT_EQ(refused(keys, changed, kNow, vector.service).type, "InvalidSignatureException");
    changed = vector;
    *changed.header("Host") = "elsewhere";
    EXPECT_EQ(refused(keys, changed, kNow, vector.service).type, "InvalidSignatureException");
  }
}

TEST(Verify, TellsWhoCalls) {
  Keys keys;
  Owned owned = signed_request(keys.key);
  const auto caller = Verifier(keys).verify(owned.request(), "ecs", kNow);
  ASSERT_TRUE(caller);
  EXPECT_EQ(caller->account, "123456789012");
  EXPECT_EQ(caller->arn, "arn:aws:iam::123456789012:root");
  EXPECT_EQ(caller->region, "eu-central-1");
  EXPECT_EQ(caller->access_key_id, "AKIDEXAMPLE");
}

TEST(Verify, WithoutAuthorization) {
  Keys keys;
  Owned owned = signed_request(keys.key);
  *owned.header("Authorization") = "";
  EXPECT_EQ(refused(keys, owned), (ApiError{"MissingAuthenticationTokenException", "Missing Authentication Token"}));
}

TEST(Verify, MalformedAuthorization) {
  Keys keys;
  for (
      const auto& [header, text] : std::initializer_list<std::pair<const char*, const char*>>{
          {"Bearer x", "Unsupported AWS 'algorithm': 'Bearer'."},
          {"AWS4-HMAC-SHA256", "Unsupported AWS 'algorithm'"},
          {"AWS4-HMAC-SHA256 Credential=A/20260301/r/ecs/aws4_request",
           "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter."},
          {"AWS4-HMAC-SHA256 Credential=A/20260301/r, SignedHeaders=host, Signature=0",
           "at least 5 slash-delimited elements"},
          {"AWS4-HMAC-SHA256 Credential=A/20260301/r/ecs/aws5, SignedHeaders=host, Signature=0",
           "at least 5 slash-delimited elements"},
          {"AWS4-HMAC-SHA256 Credential=/20260301/r/ecs/aws4_request, SignedHeaders=host, Signature=0",
           "at least 5"}}) {
    Owned owned = signed_request(keys.key);
    *owned.header("Authorization") = header;
    const ApiError error = refused(keys, owned);
    EXPECT_EQ(error.type, "IncompleteSignatureException") << header;
    EXPECT_THAT(error.message, HasSubstr(text));
  }
}

TEST(Verify, PresignedIsRefusedByName) {
  Keys keys;
  Owned owned = signed_request(keys.key);
  owned.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0";
  EXPECT_THAT(refused(keys, owned).message, HasSubstr("presigned"));
}

TEST(Verify, UnknownKeyAndWrongToken) {
  Keys keys;
  const ApiError expected{"UnrecognizedClientException", "The security token included in the request is invalid."};
  Key other = keys.key;
  other.access_key_id = "AKIDOTHER";
  Owned owned = signed_request(other);
  EXPECT_EQ(refused(keys, owned), expected);
  owned = signed_request(keys.key);
  keys.key.session_token = "t";
  EXPECT_EQ(refused(keys, owned), expected);
}

TEST(Verify, ExpiredToken) {
  Keys keys;
  keys.key.session_token = "t";
  keys.key.expires_ms = kNow;
  Owned owned = signed_request(keys.key);
  EXPECT_EQ(refused(keys, owned).type, "ExpiredTokenException");
}

TEST(Verify, WrongSecret) {
  Keys keys;
  Key wrong = keys.key;
  wrong.secret += "x";
  Owned owned = signed_request(wrong);
  EXPECT_EQ(
      refused(keys, owned),
      (ApiError{
          "InvalidSignatureException",
          "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
          "Key and signing method. Consult the service documentation for details."}));
}

TEST(Verify, AChangedSecretCountsAtOnce) {
  Keys keys;
  Verifier verifier(keys);
  Owned owned = signed_request(keys.key);
  EXPECT_TRUE(verifier.verify(owned.request(), "ecs", kNow));
  keys.key.secret = "new";
  EXPECT_FALSE(verifier.verify(owned.request(), "ecs", kNow));
  owned = signed_request(keys.key);
  EXPECT_TRUE(verifier.verify(owned.request(), "ecs", kNow));
}

TEST(Verify, WrongScope) {
  Keys keys;
  Owned owned = signed_request(keys.key, kNow, "s3");
  EXPECT_EQ(refused(keys, owned).message, "Credential should be scoped to correct service: 'ecs'.");
  owned = signed_request(keys.key, kNow, "ecs", "EU_1");
  EXPECT_EQ(refused(keys, owned).message, "Credential should be scoped to a valid region.");
  owned = signed_request(keys.key);
  std::string& authorization = *owned.header("Authorization");
  authorization.replace(authorization.find("/20260301/"), 10, "/20260228/");
  EXPECT_EQ(
      refused(keys, owned).message,
      "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260228' != '20260301', "
      "from '20260301T120000Z'.");
}

TEST(Verify, ClockSkew) {
  Keys keys;
  Owned owned = signed_request(keys.key);
  EXPECT_EQ(refused(keys, owned, kNow + limits::kClockSkewMaxMs).type, "accepted");
  EXPECT_EQ(refused(keys, owned, kNow + limits::kClockSkewMaxMs + 1000).message,
            "Signature expired: 20260301T120000Z is now earlier than 20260301T120001Z (20260301T120501Z - 5 min.)");
  EXPECT_EQ(
      refused(keys, owned, kNow - limits::kClockSkewMaxMs - 1000).message,
      "Signature not yet current: 20260301T120000Z is still later than 20260301T115959Z (20260301T115459Z + 5 min.)");
}

TEST(Verify, DateMustBeThereAndWellFormed) {
  Keys keys;
  Owned owned = signed_request(keys.key);
  *owned.header("X-Amz-Date") = "yesterday";
  EXPECT_THAT(refused(keys, owned).message, HasSubstr("Date must be in ISO-8601 'basic format'"));
  *owned.header("X-Amz-Date") = "";
  EXPECT_EQ(refused(keys, owned).type, "IncompleteSignatureException");
}

TEST(Verify, HostAndAmzHeadersMustBeSigned) {
  Keys keys;
  Owned owned = signed_request(keys.key);
  owned.headers.emplace_back("x-AMZ-Evil", "1");
  EXPECT_EQ(refused(keys, owned).message, "'x-AMZ-Evil' must be a 'SignedHeader' in the AWS Authorization.");
  owned = signed_request(keys.key);
  std::string& authorization = *owned.header("Authorization");
  authorization.replace(authorization.find("SignedHeaders=host;"), 19, "SignedHeaders=");
  EXPECT_THAT(refused(keys, owned).message, HasSubstr("'Host'"));
}

TEST(Verify, ASignedHeaderThatIsNotThere) {
  Keys keys;
  Owned owned = signed_request(keys.key);
  std::erase_if(owned.headers, [](const auto& header) { return header.first == "X-Amz-Target"; });
  EXPECT_EQ(refused(keys, owned).type, "InvalidSignatureException");
}

TEST(Date, ReadsWhatItWritesAndNothingElse) {
  EXPECT_EQ(format_date(kNow), "20260301T120000Z");
  EXPECT_EQ(parse_date("20260301T120000Z"), kNow);
  for (const char* text :
       {"", "20260301T120000", "20261301T120000Z", "20260300T120000Z", "2026030xT120000Z", "20260301T250000Z"}) {
    EXPECT_FALSE(parse_date(text)) << text;
  }
}

TEST(Hash, ConstantTimeEquality) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abc", "abd"));
  EXPECT_FALSE(equal_in_constant_time("abc", "ab"));
}

TEST(Hash, KnownDigests) {
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  // RFC 4231, case 2.
  EXPECT_EQ(hex(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace berth::sigv4
