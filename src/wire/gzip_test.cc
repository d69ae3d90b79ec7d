#include "wire/gzip.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "wire/pack.h"

namespace berth::wire {
namespace {

TEST(Gzip, UnpacksWhatWasPacked) {
  for (const std::string& text : {std::string(), std::string("hello"), std::string(100'000, 'x')}) {
    std::string out = "before ";
    EXPECT_EQ(gunzip(packed(text), 100'000, out), Gunzip::whole);
    EXPECT_EQ(out, "before " + text);
  }
  std::string out;
  EXPECT_EQ(gunzip(packed("one, ") + packed("two"), 100, out), Gunzip::whole);
  EXPECT_EQ(out, "one, two");
}

TEST(Gzip, RefusesBombs) {
  std::string out;
  EXPECT_EQ(gunzip(packed(std::string(100'001, 'x')), 100'000, out), Gunzip::too_large);
  EXPECT_LE(out.size(), 100'001u);
}

TEST(Gzip, RefusesWhatIsNotGzip) {
  const std::string whole = packed("hello hello hello");
  for (const std::string& text : {std::string("hello"), std::string(), whole.substr(0, whole.size() - 1), whole + "x",
                                  whole.substr(0, 12), std::string("\x1f\x8b", 2)}) {
    std::string out;
    EXPECT_EQ(gunzip(text, 1000, out), Gunzip::broken) << text.size();
  }
}

TEST(Gzip, TheBeginningIsEnoughToSeeTheOperation) {
  EXPECT_EQ(gunzip_beginning(packed("Action=PutMetricData&" + std::string(100'000, 'x')), 20), "Action=PutMetricData");
  EXPECT_EQ(gunzip_beginning("Action=", 20), "");
}

}  // namespace
}  // namespace berth::wire
