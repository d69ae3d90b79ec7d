#include <gtest/gtest.h>

#include <cerrno>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"

namespace berth {
namespace {

TEST(Prng, MeansTheSameEverywhere) {
  Prng prng(42);
  EXPECT_EQ(prng.next(), 1546998764402558742u);
  Prng again(42);
  again.next();
  EXPECT_EQ(prng.next(), again.next());
}

TEST(Ids, HaveTheFormsOfAws) {
  Prng prng(1);
  EXPECT_EQ(new_hex_id(prng).size(), 32u);
  const std::string uuid = new_uuid(prng);
  EXPECT_EQ(uuid.size(), 36u);
  EXPECT_EQ(uuid[14], '4');
  EXPECT_EQ(uuid[23], '-');
  const std::string digits = new_decimal_id(prng, 19);
  EXPECT_EQ(digits.size(), 19u);
  EXPECT_NE(digits[0], '0');
}

TEST(Error, TellsWhatWasDoneAndWhy) {
  EXPECT_EQ(Error::system(ENOENT, "open /x").context, "open /x: No such file or directory");
}

}  // namespace
}  // namespace berth
