// Streams that are deleted under their writers, and what it costs to know of a long one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>

#include "logstore/log_store.h"
#include "logstore/writer/log_writer.h"

namespace berth::logstore {
namespace {

const std::string kGroup = "00000000000000aa";
const std::string kStream = "0000000000000001";

class Streams : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-writer-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    store_ = std::make_unique<LogStore>(root_);
    ASSERT_TRUE(store_->make_stream(kGroup, kStream));
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  std::string root_;
  std::unique_ptr<LogStore> store_;
};

TEST_F(Streams, DeletedOnesHoldTheirWriterUpNeitherWithinASegmentNorAtItsEnd) {
  LogWriter writer;
  LogWriterLimits limits;
  limits.segment_bytes = 4096;
  ASSERT_EQ(writer.open((root_ + "/" + kGroup + "/" + kStream).c_str(), 7, limits), 0);
  const std::string line(100, 'x');
  ASSERT_EQ(writer.append(1, 1, line.data(), line.size()), 0);
  ASSERT_EQ(writer.flush(), 0);
  ASSERT_TRUE(store_->remove_group(kGroup));
  EXPECT_FALSE(writer.is_deleted());
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(writer.append(2 + i, 2 + i, line.data(), line.size()), 0);
    ASSERT_EQ(writer.flush(), 0);
  }
  EXPECT_TRUE(writer.is_deleted());
  EXPECT_EQ(writer.buffered(), 0u);
  EXPECT_FALSE(std::filesystem::exists(root_ + "/" + kGroup));
}

TEST_F(Streams, DeletedOnesTakePutEventsAgainOnlyAsAnotherStream) {
  ASSERT_TRUE(store_->put(kGroup, kStream, {{10, "before"}}, 50));
  // Behind the store's back, as when another's deletion comes between a look-up and its write.
  std::filesystem::remove_all(root_ + "/" + kGroup);
  const std::string large(900 * 1024, 'x');
  int refused = 0;
  for (int i = 0; i < 6; ++i) refused += store_->put(kGroup, kStream, {{20 + i, large}}, 60).has_value() ? 0 : 1;
  EXPECT_EQ(refused, 1) << "what did not fit into the lost segment was not acknowledged";
}

TEST_F(Streams, FactsOfAnEndedStreamCostItsLastSegmentsOnly) {
  const std::string stream = root_ + "/" + kGroup + "/" + kStream;
  constexpr int64_t kMinuteMs = 60'000;
  LogWriterLimits limits;
  limits.segment_bytes = 64 * 1024;
  LogWriter writer;
  ASSERT_EQ(writer.open(stream.c_str(), 7, limits), 0);
  const std::string line(1000, 'x');
  for (int i = 0; i < 2000; ++i)
    ASSERT_EQ(writer.append(i * kMinuteMs + 1, i * kMinuteMs + 1, line.data(), line.size()), 0);
  writer.close();
  // Each was written when its events say.
  for (const auto& file : std::filesystem::directory_iterator(stream)) {
    const int64_t number = std::stoll(file.path().filename().string().substr(13, 8), nullptr, 16);
    const timespec times[2] = {{number * 64 * 60, 0}, {number * 64 * 60, 0}};
    ASSERT_EQ(utimensat(AT_FDCWD, file.path().c_str(), times, 0), 0);
  }
  // The last one's time is a tick of the kernel's behind its last event's.
  const timespec behind[2] = {{1999 * 60, 0}, {1999 * 60, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, (stream + "/000000000007-00000020.seg").c_str(), behind, 0), 0);
  LogStore fresh(root_);
  const auto facts = fresh.facts(kGroup, {kStream});
  EXPECT_EQ(facts[0].first_event_ms, 1);
  EXPECT_EQ(facts[0].last_event_ms, 1999 * kMinuteMs + 1);
  EXPECT_EQ(facts[0].last_ingestion_ms, facts[0].last_event_ms);
  EXPECT_GT(facts[0].bytes, 2'000'000u);
  EXPECT_LT(fresh.bytes_read(), 3u * limits.segment_bytes);
}

}  // namespace
}  // namespace berth::logstore
