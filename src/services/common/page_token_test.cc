#include "services/common/page_token.h"

#include <gtest/gtest.h>

namespace berth::services::common {
namespace {

TEST(PageToken, OpensForItsOwnQueryOnly) {
  const std::string token = page_token("vpcs of one account", "vpc-1");
  EXPECT_EQ(open_page_token("vpcs of one account", token), "vpc-1");
  EXPECT_FALSE(open_page_token("vpcs of another", token));
  for (const std::string& wrong : {std::string(), std::string("x"), token + "0", token + "zz", page_token("vpcs of one account", "")})
    EXPECT_FALSE(open_page_token("vpcs of one account", wrong)) << wrong;
}

}  // namespace
}  // namespace berth::services::common
