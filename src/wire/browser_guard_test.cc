#include "wire/browser_guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::wire {
namespace {

using testing::HasSubstr;
using testing::Optional;

std::optional<std::string> ask(std::vector<sigv4::Header> headers) {
  HttpRequest request;
  request.headers = headers;
  return why_refused_without_signatures(request, "Box.lan");
}

TEST(BrowserGuard, TakesHostsThatNobodyElseCanPointHere) {
  for (const char* host :
       {"127.0.0.1:4566", "localhost:4566", "LOCALHOST", "[::1]:4566", "10.1.2.3", "data-127.0.0.1:4566",
        "data-localhost", "berth:4566", "ecs.localhost:4566", "host.docker.internal", "ecs.eu-central-1.amazonaws.com",
        "box.lan", "", "data-servicediscovery.us-east-1.amazonaws.com", "ecs.cn-north-1.amazonaws.com.cn",
        "ecs.us-east-1.api.aws"})
    EXPECT_EQ(ask({{"Host", host}}), std::nullopt) << host;
  EXPECT_EQ(ask({}), std::nullopt);
}

TEST(BrowserGuard, RefusesNamesThatCanBeRebound) {
  for (const char* host :
       {"evil.example:4566", "127.0.0.1.nip.io", "localhost.evil.example", "amazonaws.com.evil.example",
        "evilamazonaws.com", "data-127.0.0.1.evil.example", "other.lan", "127.0.0.1."})
    EXPECT_THAT(ask({{"Host", host}}), Optional(HasSubstr("the Host of this request is"))) << host;
}

TEST(BrowserGuard, RefusesPagesOfOtherOrigins) {
  const sigv4::Header host{"Host", "127.0.0.1:4566"};
  for (const char* origin : {"https://evil.example", "null", "http://127.0.0.1:8080", "http://localhost:4566"})
    EXPECT_THAT(ask({host, {"Origin", origin}}), Optional(HasSubstr("another origin"))) << origin;
  EXPECT_EQ(ask({host, {"Origin", "http://127.0.0.1:4566"}}), std::nullopt);
  // An image's address names no origin; browsers then say this.
  EXPECT_THAT(ask({host, {"Sec-Fetch-Site", "cross-site"}}), Optional(HasSubstr("another origin")));
  EXPECT_THAT(ask({host, {"Sec-Fetch-Site", "same-site"}}), Optional(HasSubstr("another origin")));
  EXPECT_EQ(ask({host, {"Sec-Fetch-Site", "none"}}), std::nullopt);
  EXPECT_EQ(ask({host, {"Sec-Fetch-Site", "same-origin"}}), std::nullopt);
}

}  // namespace
}  // namespace berth::wire
