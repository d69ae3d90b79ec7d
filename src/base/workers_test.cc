#include "base/workers.h"

#include <gtest/gtest.h>

#include <future>
#include <string>

namespace berth {
namespace {

class WorkersTest : public ::testing::Test {
 protected:
  // The one thread is busy from here to release().
  void SetUp() override {
    std::promise<void> begun;
    workers->post([this, &begun] {
      begun.set_value();
      released.get_future().wait();
      done += "first ";
    });
    begun.get_future().wait();
  }
  void release_and_end() {
    released.set_value();
    workers.reset();
  }
  std::unique_ptr<Workers> workers = std::make_unique<Workers>("test", 1);
  std::promise<void> released;
  std::string done;
};

TEST_F(WorkersTest, FinishWhatWasPostedInItsOrder) {
  workers->post([this] { done += "second "; });
  workers->post([this] { done += "third"; });
  release_and_end();
  EXPECT_EQ(done, "first second third");
}

TEST_F(WorkersTest, TakeWhatIsOfferedWhileFewWait) {
  Job second = [this] { done += "second "; }, third = [this] { done += "third"; };
  EXPECT_TRUE(workers->offer(second, 1));
  EXPECT_FALSE(workers->offer(third, 1));
  EXPECT_FALSE(second);
  EXPECT_TRUE(third);
  release_and_end();
  EXPECT_EQ(done, "first second ");
}

TEST_F(WorkersTest, DropWhatHasNotBegun) {
  const auto held = std::make_shared<int>();
  workers->post([this, held] { done += "second "; });
  workers->drop();
  workers->post([this, held] { done += "third "; });
  EXPECT_EQ(held.use_count(), 1);
  release_and_end();
  EXPECT_EQ(done, "first ");
}

}  // namespace
}  // namespace berth
