#include "logstore/log_store_fixture.h"

namespace berth::logstore {
namespace {

TEST_F(Logs, RetentionDeletesWholeSegmentsOfWritersThatHaveGone) {
  LogWriterLimits limits;
  limits.segment_bytes = 1000;
  const TimeMs start = now_ms() - 1'000'000'000;
  LogWriter writer;
  ASSERT_EQ(writer.open(root_.stream().c_str(), 7, limits), 0);
  for (int i = 0; i < 40; ++i) append(writer, start + i, std::string(176, 'r'));
  ASSERT_EQ(writer.flush(), 0);
  EXPECT_EQ(store_.expire(kGroup, start), 0u);
  EXPECT_EQ(store_.expire(kGroup, start + 12), 3u);  // four to a segment
  EXPECT_EQ(read_all(store_).front().position.timestamp_ms, start + 12);
  EXPECT_EQ(store_.expire(kGroup, start + 1000), 6u);  // all but the one that its writer still holds
  EXPECT_EQ(read_all(store_).size(), 4u);
  writer.close();
  EXPECT_EQ(store_.expire(kGroup, start + 1000), 1u);
  EXPECT_THAT(root_.files(), IsEmpty());
}

TEST_F(Logs, FactsOfStreams) {
  ASSERT_TRUE(store_.make_stream(kGroup, stream_uid(2)));
  ASSERT_TRUE(store_.put(kGroup, kStream, {{10, "a"}, {2000, "b"}}, 50));
  ASSERT_TRUE(store_.put(kGroup, kStream, {{5, "c"}}, 60));
  LogWriter writer;
  ASSERT_EQ(writer.open(root_.stream().c_str(), 7, {}), 0);
  append(writer, 3000, "d");
  ASSERT_EQ(writer.flush(), 0);
  const auto facts = store_.facts(kGroup, {kStream, stream_uid(2), stream_uid(3)});
  ASSERT_EQ(facts.size(), 3u);
  EXPECT_EQ(facts[0].first_event_ms, 5);
  EXPECT_EQ(facts[0].last_event_ms, 3000);
  EXPECT_EQ(facts[0].bytes, store_.stored_bytes(kGroup));
  EXPECT_FALSE(facts[1].first_event_ms);
  EXPECT_FALSE(facts[2].last_ingestion_ms);
}

TEST_F(Logs, RemovedGroupsAreGone) {
  ASSERT_TRUE(store_.put(kGroup, kStream, {{10, "a"}}, 50));
  ASSERT_TRUE(store_.put("00000000000000bb", kStream, {{10, "a"}}, 50));
  ASSERT_TRUE(store_.put("00000000000000cc", kStream, {{10, "a"}}, 50));
  ASSERT_TRUE(store_.remove_group(kGroup));
  EXPECT_THAT(read_all(store_), IsEmpty());
  EXPECT_EQ(store_.stored_bytes(kGroup), 0u);
  EXPECT_THAT(store_.group_uids(), ElementsAre("00000000000000bb", "00000000000000cc"));
}

TEST_F(Logs, RemovedStreamsAreGone) {
  ASSERT_TRUE(store_.put(kGroup, kStream, {{10, "a"}}, 50));
  ASSERT_TRUE(store_.put(kGroup, stream_uid(2), {{20, "b"}}, 50));
  ASSERT_TRUE(store_.remove_stream(kGroup, kStream));
  EXPECT_THAT(messages(read_all(store_)), ElementsAre("b"));
  EXPECT_FALSE(store_.facts(kGroup, {kStream})[0].last_event_ms);
  ASSERT_TRUE(store_.put(kGroup, kStream, {{30, "c"}}, 50));
  EXPECT_THAT(messages(read_all(store_)), ElementsAre("b", "c"));
}

// Figures, not thresholds: BERTH_BENCH_SECONDS=20 for those worth quoting.
TEST(LogFigures, WriterThroughput) {
  Root root;
  LogStore store(root.path);
  ASSERT_TRUE(store.make_stream(kGroup, kStream));
  LogWriter writer;
  ASSERT_EQ(writer.open(root.stream().c_str(), 1, {}), 0);
  const std::string line(100, 'w');
  const int lines = getenv("BERTH_BENCH_SECONDS") ? 5'000'000 : 200'000;
  auto start = std::chrono::steady_clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(); };
  for (int i = 0; i < lines; ++i) {
    ASSERT_EQ(writer.append(1000 + i / 100, 1, line.data(), line.size()), 0);
    if (i % 100 == 99) {
      ASSERT_EQ(writer.flush(), 0);
    }
  }
  printf("writer: %.0f lines/s of 100 bytes, a flush every 100\n", lines / seconds());
  start = std::chrono::steady_clock::now();
  ASSERT_EQ(read_all(store).size(), static_cast<size_t>(lines));
  printf("reader: %.0f lines/s in pages of up to 1 MB, index included\n", lines / seconds());
}

TEST(LogFigures, ProbeLatencyUnderLoad) {
  Root root;
  LogStore store(root.path);
  const double duration = getenv("BERTH_BENCH_SECONDS") ? atof(getenv("BERTH_BENCH_SECONDS")) : 0.5;
  std::vector<pid_t> writers;
  for (uint64_t stream = 1; stream <= 10; ++stream) {
    ASSERT_TRUE(store.make_stream(kGroup, stream_uid(stream)));
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {  // 5,000 lines a second, 10 every 2 ms
      LogWriter writer;
      if (writer.open(root.stream(stream_uid(stream)).c_str(), 1, {}) != 0) _exit(1);
      const std::string line(100, 'l');
      for (int i = 0; i < static_cast<int>(duration * 500); ++i) {
        for (int k = 0; k < 10; ++k) (void)writer.append(now_ms(), now_ms(), line.data(), line.size());
        (void)writer.flush();
        // No event: the pace is what is tested.
        usleep(2000);
      }
      _exit(0);
    }
    writers.push_back(child);
  }
  const std::string probe_uid = stream_uid(77);
  ASSERT_TRUE(store.make_stream(kGroup, probe_uid));
  LogWriter probe;
  ASSERT_EQ(probe.open(root.stream(probe_uid).c_str(), 1, {}), 0);
  std::vector<double> latencies;
  const auto began = std::chrono::steady_clock::now();
  const auto since = [](auto start) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  for (int i = 0; since(began) < duration * 1000; ++i) {
    const std::string text = "probe " + std::to_string(i);
    const TimeMs now = now_ms();
    append(probe, now, text);
    ASSERT_EQ(probe.flush(), 0);
    const auto start = std::chrono::steady_clock::now();
    Query query;
    query.start_ms = now - 1000;
    query.matches = [&](std::string_view message) { return message == text; };
    ASSERT_EQ(read_all(store, query).size(), 1u);
    latencies.push_back(since(start));
    // No event: probes come at a pace too.
    usleep(20'000);
  }
  for (const pid_t child : writers) waitpid(child, nullptr, 0);
  std::sort(latencies.begin(), latencies.end());
  printf("a probe under 50,000 lines/s is found within: p50 %.1f ms, p99 %.1f ms, max %.1f ms (%zu probes)\n",
         latencies[latencies.size() / 2], latencies[latencies.size() * 99 / 100], latencies.back(), latencies.size());
}

}  // namespace
}  // namespace berth::logstore
