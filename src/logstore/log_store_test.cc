#include "logstore/log_store_fixture.h"

namespace berth::logstore {
namespace {

TEST(EventIds, AreFiftySixDigitsAndComeBack) {
  const EventId largest{UINT64_MAX, kWriterIdMax, UINT32_MAX, UINT32_MAX};
  for (const EventId& id : {EventId{}, EventId{1, 2, 3, 4}, largest}) {
    EXPECT_EQ(id.to_string().size(), 56u);
    EXPECT_EQ(EventId::parse(id.to_string()), id);
  }
  EXPECT_EQ(EventId{}.to_string(), "3" + std::string(55, '0'));
  for (const char* text : {"", "3", "x", "30000000000000000000000000000000000000000000000000000000000000000"}) {
    EXPECT_FALSE(EventId::parse(text));
  }
  EXPECT_FALSE(EventId::parse("3" + std::string(55, '9')));
  EXPECT_FALSE(EventId::parse("3" + std::string(54, '0') + "-"));
  for (const char* text : {"", "1", "1.2", "1.2.3", "..", "1.2.x"}) EXPECT_FALSE(Position::parse(text)) << text;
}

TEST_F(Logs, AnEventIsSeenAfterFlush) {
  LogWriter writer;
  ASSERT_EQ(writer.open(root_.stream().c_str(), 7, {}), 0);
  append(writer, 100, "one");
  EXPECT_THAT(read_all(store_), IsEmpty());
  ASSERT_EQ(writer.flush(), 0);
  EXPECT_THAT(messages(read_all(store_)), ElementsAre("one"));
  append(writer, 101, "");
  ASSERT_EQ(writer.append(102, 103, "par", 3, true), 0);
  ASSERT_EQ(writer.flush(), 0);
  const auto events = read_all(store_);
  EXPECT_THAT(messages(events), ElementsAre("one", "", "par"));
  EXPECT_FALSE(events[1].partial);
  EXPECT_TRUE(events[2].partial);
  EXPECT_EQ(events[2].position.timestamp_ms, 102);
  EXPECT_EQ(events[2].position.ingestion_ms, 103);
  EXPECT_EQ(events[0].position.id, (EventId{1, 7, 1, sizeof(SegmentHeader)}));
  EXPECT_THAT(root_.files(), ElementsAre("000000000007-00000001.seg"));
}

TEST_F(Logs, SegmentsEndWhenFullAndNumbersGoOn) {
  LogWriterLimits limits;
  limits.segment_bytes = 1000;
  std::vector<std::string> expected;
  for (int life = 0; life < 3; ++life) {
    LogWriter writer;
    ASSERT_EQ(writer.open(root_.stream().c_str(), 7, limits), 0);
    for (int i = 0; i < 20; ++i) {
      expected.push_back(std::to_string(life * 100 + i) + std::string(176, '.'));
      append(writer, 1000 + life * 100 + i, expected.back());
    }
  }
  EXPECT_EQ(messages(read_all(store_)), expected);
  EXPECT_EQ(root_.files().size(), 15u);  // four records of 200 and a bit in each, and none written by two
  for (const std::string& file : root_.files()) {
    EXPECT_LE(std::filesystem::file_size(root_.stream() + "/" + file), 1000u);
  }
}

TEST_F(Logs, TheTotalIsKeptAndNotMuchMore) {
  LogWriterLimits limits;
  limits.total_bytes = 100'000;
  {
    LogWriter writer;
    ASSERT_EQ(writer.open(root_.stream().c_str(), 7, limits), 0);
    for (int i = 0; i < 5000; ++i) append(writer, i, std::string(76, 'x'));
  }
  uint64_t bytes = 0;
  for (const std::string& file : root_.files()) bytes += std::filesystem::file_size(root_.stream() + "/" + file);
  EXPECT_GE(bytes, 100'000u);
  EXPECT_LE(bytes, 130'000u);
  const auto events = read_all(store_);
  EXPECT_GE(events.size(), 990u);
  EXPECT_EQ(events.back().position.timestamp_ms, 4999);
}

TEST_F(Logs, AClockSetBackALittleIsHeldAndALotBeginsASegment) {
  LogWriter writer;
  ASSERT_EQ(writer.open(root_.stream().c_str(), 7, {}), 0);
  append(writer, 100'000, "a");
  append(writer, 95'000, "b");
  EXPECT_EQ(root_.files().size(), 1u);
  append(writer, 50'000, "c");
  EXPECT_EQ(root_.files().size(), 2u);
  append(writer, 50'000 + 24 * 60 * 60 * 1000 + 1, "d");  // and one that spans a day is long enough
  EXPECT_EQ(root_.files().size(), 3u);
  writer.close();
  const auto events = read_all(store_);
  EXPECT_THAT(messages(events), ElementsAre("c", "a", "b", "d"));
  EXPECT_EQ(events[2].position.timestamp_ms, 100'000);
}

TEST_F(Logs, TheLongestMessageFitsAndALongerOneIsRefused) {
  LogWriter writer;
  ASSERT_EQ(writer.open(root_.stream().c_str(), 7, {}), 0);
  const std::string longest(kMessageBytesMax, 'l');
  append(writer, 1, "before");
  append(writer, 2, longest);
  append(writer, 3, "after");
  EXPECT_EQ(writer.append(4, 4, longest.data(), longest.size() + 1), EMSGSIZE);
  ASSERT_EQ(writer.flush(), 0);
  EXPECT_EQ(messages(read_all(store_)), (std::vector<std::string>{"before", longest, "after"}));
}

// Whatever a crash leaves of a segment: every whole record is read, and nothing else.
TEST_F(Logs, TornTailsAtEveryByte) {
  std::vector<size_t> ends;
  std::string whole;
  {
    LogWriter writer;
    ASSERT_EQ(writer.open(root_.stream().c_str(), 7, {}), 0);
    for (int i = 0; i < 6; ++i) append(writer, i, std::string(static_cast<size_t>(i * 3), 'x'), INT64_MAX);
    writer.close();
    std::ifstream file(root_.stream() + "/" + root_.files()[0], std::ios::binary);
    whole.assign(std::istreambuf_iterator<char>(file), {});
  }
  RecordWalk walk(std::string_view(whole).substr(sizeof(SegmentHeader)), true);
  for (RecordView record; walk.next(record);) ends.push_back(sizeof(SegmentHeader) + walk.consumed());
  ASSERT_EQ(ends.size(), 6u);
  const std::string path = root_.stream() + "/" + root_.files()[0];
  for (const std::string& zeroes : {std::string(), std::string(40, '\0')}) {
    for (size_t size = 0; size <= whole.size(); ++size) {
      std::ofstream(path, std::ios::binary) << whole.substr(0, size) << zeroes;
      LogStore fresh(root_.path);
      const auto expected =
          static_cast<size_t>(std::count_if(ends.begin(), ends.end(), [&](size_t end) { return end <= size; }));
      ASSERT_EQ(read_all(fresh).size(), expected) << "cut at " << size;
    }
  }
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    std::ofstream(path, std::ios::binary) << damaged;
    LogStore fresh(root_.path);
    for (const Event& event : read_all(fresh)) {
      EXPECT_EQ(event.message, std::string(static_cast<size_t>(event.position.timestamp_ms * 3), 'x'));
    }
  }
}

// Against the plain definition: all events sorted. Supervisors' and PutLogEvents' segments, overlapping in
// time, with equal times, read in pages of every shape.
TEST_F(Logs, PagesOfAnyShapeGiveEverythingOnce) {
  const uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Prng random(seed);
  struct Written {
    TimeMs timestamp;
    uint64_t stream;
    std::string message;
  };
  std::vector<Written> written;
  int number = 0;
  for (uint64_t stream = 1; stream <= 6; ++stream) {
    ASSERT_TRUE(store_.make_stream(kGroup, stream_uid(stream)));
    LogWriterLimits limits;
    limits.segment_bytes = 20'000 + static_cast<uint32_t>(random.below(400'000));
    limits.monotonic = stream % 2 == 0;
    LogWriter writer;
    ASSERT_EQ(writer.open(root_.stream(stream_uid(stream)).c_str(), stream, limits), 0);
    TimeMs time = 1'000'000;
    for (int batch = 0; batch < 15; ++batch) {
      if (!limits.monotonic) time = 1'000'000 + static_cast<TimeMs>(random.below(3000));
      for (int i = 0; i < 25; ++i) {
        time += static_cast<TimeMs>(random.below(5));
        std::string message = std::to_string(number++) + std::string(random.below(i == 7 ? 30'000 : 300), 'm');
        append(writer, time, message, 5);
        written.push_back({time, stream, std::move(message)});
      }
    }
  }
  std::stable_sort(written.begin(), written.end(), [](const Written& a, const Written& b) {
    return std::pair(a.timestamp, a.stream) < std::pair(b.timestamp, b.stream);
  });
  for (int round = 0; round < 50; ++round) {
    Query query;
    query.forward = random.chance(50);
    query.events_max = 1 + random.below(round % 2 ? 1000 : 40);
    query.bytes_max = 2000 + random.below(200'000);
    query.scan_bytes_max = random.chance(50) ? 1 + random.below(500'000) : query.scan_bytes_max;
    if (random.chance(60)) query.start_ms = 1'000'000 + static_cast<TimeMs>(random.below(4000));
    if (random.chance(60)) query.end_ms = 1'000'000 + static_cast<TimeMs>(random.below(4000));
    if (random.chance(30)) query.stream_uids = {stream_uid(1 + random.below(6)), stream_uid(99)};
    if (random.chance(30)) query.matches = [](std::string_view message) { return message.starts_with('7'); };
    std::vector<std::string> expected;
    for (const Written& event : written) {
      if (event.timestamp < query.start_ms || event.timestamp > query.end_ms) continue;
      if (query.stream_uids && stream_uid(event.stream) != query.stream_uids->front()) continue;
      if (query.matches && !query.matches(event.message)) continue;
      expected.push_back(event.message);
    }
    LogStore restarted(root_.path);
    const auto events = read_all(random.chance(50) ? store_ : restarted, query);
    EXPECT_TRUE(std::is_sorted(events.begin(), events.end(),
                               [](const Event& a, const Event& b) { return a.position < b.position; }));
    ASSERT_EQ(messages(events), expected) << "round " << round;
  }
}

TEST_F(Logs, WhatIsNewCostsWhatIsNew) {
  const TimeMs now = now_ms();
  for (uint64_t stream = 1; stream <= 20; ++stream) {
    ASSERT_TRUE(store_.make_stream(kGroup, stream_uid(stream)));
    LogWriterLimits limits;
    limits.segment_bytes = 256 * 1024;
    LogWriter writer;
    ASSERT_EQ(writer.open(root_.stream(stream_uid(stream)).c_str(), 1, limits), 0);
    for (int i = 0; i < 10'000; ++i) append(writer, now - 3'600'000 + i, std::string(100, 'o'));
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root_.path)) {
    if (entry.is_regular_file()) {
      std::filesystem::last_write_time(entry.path(),
                                       std::filesystem::file_time_type::clock::now() - std::chrono::minutes(50));
    }
  }
  LogWriter writer;
  ASSERT_EQ(writer.open(root_.stream().c_str(), 2, {}), 0);
  Query query;
  query.start_ms = now - 1000;
  uint64_t before = 0;
  for (int i = 0; i < 50; ++i) {
    append(writer, now + i, std::string(1000, 'n'));
    ASSERT_EQ(writer.flush(), 0);
    before = store_.bytes_read();
    ASSERT_EQ(read_all(store_, query).size(), static_cast<size_t>(i + 1));
    // 24 MB are stored. Read: the new event for the index, and the block that it is in.
    ASSERT_LE(store_.bytes_read() - before, kBlockBytes + 2 * 1100u);
  }
  // Everything is read once for the index, and once for the answer.
  before = store_.bytes_read();
  EXPECT_EQ(read_all(store_).size(), 200'050u);
  const uint64_t first = store_.bytes_read() - before;
  before = store_.bytes_read();
  EXPECT_EQ(read_all(store_).size(), 200'050u);
  EXPECT_LT(store_.bytes_read() - before, first);
}

TEST_F(Logs, AStreamThatEndedLongAgoIsNotLookedAtForEachStartOfAnother) {
  LogStore store(root_.path, 0);
  const TimeMs now = now_ms();
  for (uint64_t stream = 1; stream <= 50; ++stream) {
    ASSERT_TRUE(store.make_stream(kGroup, stream_uid(stream)));
    LogWriter writer;
    ASSERT_EQ(writer.open(root_.stream(stream_uid(stream)).c_str(), 1, {}), 0);
    append(writer, now, "line");
  }
  EXPECT_EQ(read_all(store).size(), 50u);
  const auto starts = [&](uint64_t stream) {
    ASSERT_TRUE(store.make_stream(kGroup, stream_uid(stream)));
    LogWriter writer;
    ASSERT_EQ(writer.open(root_.stream(stream_uid(stream)).c_str(), 2, {}), 0);
    append(writer, now, "line");
  };
  starts(51);
  EXPECT_EQ(read_all(store).size(), 51u);
  const uint64_t before = store.streams_looked_at();
  starts(52);
  EXPECT_EQ(read_all(store).size(), 52u);
  EXPECT_LE(store.streams_looked_at() - before, 4u) << "the two new ones, for each of the two pages";

  // PutLogEvents may begin a segment in a stream whose task has ended.
  ASSERT_TRUE(store.put(kGroup, stream_uid(7), {{now + 1, "put"}}, now));
  EXPECT_EQ(read_all(store).size(), 53u);
  ASSERT_TRUE(store.put(kGroup, stream_uid(7), {{now + 2, "put"}}, now));
  EXPECT_EQ(read_all(store).size(), 54u);
}

TEST_F(Logs, AWriterAtWorkLosesAndDoublesNothing) {
  constexpr int kLines = 30'000;
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    LogWriterLimits limits;
    limits.segment_bytes = 300'000;
    LogWriter writer;
    if (writer.open(root_.stream().c_str(), 9, limits) != 0) _exit(1);
    for (int i = 0; i < kLines; ++i) {
      const std::string line = std::to_string(i) + std::string(static_cast<size_t>(i * 7 % 150), '-');
      if (writer.append(now_ms(), now_ms(), line.data(), line.size()) != 0) _exit(2);
      if (i % 13 == 0 && writer.flush() != 0) _exit(3);
    }
    if (writer.flush() != 0) _exit(4);
    kill(getpid(), SIGKILL);  // without a word
  }
  Query query;
  query.group_uid = kGroup;
  int next = 0;
  while (next < kLines) {
    query.events_max = 1 + static_cast<size_t>(next) % 5000;
    auto page = store_.read(query);
    ASSERT_TRUE(page);
    for (const Event& event : page->events) {
      ASSERT_EQ(std::stoi(event.message), next) << event.position.to_string();
      ++next;
    }
    if (!page->events.empty()) query.from = page->events.back().position;
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  LogWriter second;  // the same writer id again, after the crash
  ASSERT_EQ(second.open(root_.stream().c_str(), 9, {}), 0);
  append(second, now_ms(), "back");
  ASSERT_EQ(second.flush(), 0);
  EXPECT_EQ(messages(store_.read(query)->events), std::vector<std::string>{"back"});
}

// A file that may not grow, by the kernel's own hand: what append() took is there once, what it refused is
// not.
TEST_F(Logs, ADiskThatIsFullForAWhileLosesNothingTaken) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{100'000, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    LogWriter writer;
    if (writer.open(root_.stream().c_str(), 9, {}) != 0) _exit(1);
    int taken = 0, refused = 0;
    const auto line = [&] { return std::to_string(taken) + std::string(500, 'f'); };
    while (refused < 10) {
      const int error = writer.append(1000 + taken, 5, line().data(), line().size());
      if (error == 0) {
        ++taken;
        if (taken % 50 == 0) (void)writer.flush();
      } else {
        if (error != EFBIG) _exit(2);
        ++refused;
      }
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    while (taken < 1000) {
      if (writer.append(1000 + taken, 5, line().data(), line().size()) != 0) _exit(3);
      ++taken;
    }
    _exit(writer.flush());
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  const auto events = read_all(store_);
  ASSERT_EQ(events.size(), 1000u);
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(std::stoul(events[i].message), i);
}

TEST_F(Logs, PutEventsAreThereWholeOrNotAtAll) {
  ASSERT_TRUE(store_.put(kGroup, kStream, {{10, "a"}, {20, "b"}}, 50));
  ASSERT_TRUE(store_.put(kGroup, kStream, {{5, "c"}, {15, "d"}}, 60));
  EXPECT_THAT(messages(read_all(store_)), ElementsAre("c", "a", "d", "b"));
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    LogStore own(root_.path);
    if (!own.put(kGroup, kStream, {{30, "kept"}}, 70)) _exit(1);
    rlimit limit{};
    getrlimit(RLIMIT_FSIZE, &limit);
    const rlimit small{300'000, limit.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    const std::string long_message(50'000, 'x');
    if (own.put(kGroup, kStream, std::vector<NewEvent>(10, {31, long_message}), 70)) _exit(2);
    if (read_all(own).size() != 5) _exit(3);
    if (!own.put(kGroup, kStream, {{40, "after"}}, 80)) _exit(4);
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_THAT(messages(read_all(store_)), ElementsAre("c", "a", "d", "b", "kept", "after"));
}

TEST_F(Logs, ManyPutStreamsDoNotHoldManyFiles) {
  for (uint64_t round = 1; round <= 5; ++round) {
    for (uint64_t stream = 1; stream <= 200; ++stream) {
      ASSERT_TRUE(store_.put(kGroup, stream_uid(stream), {{static_cast<TimeMs>(round), "x"}}, 1));
    }
    EXPECT_EQ(read_all(store_).size(), 200 * round) << "those that went on are seen";
  }
  for (uint64_t stream = 1; stream <= 200; ++stream) EXPECT_EQ(root_.files(stream_uid(stream)).size(), 1u);
  LogStore fresh(root_.path);
  EXPECT_EQ(read_all(fresh).size(), 1000u);
  size_t open_files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++open_files;
  EXPECT_LT(open_files, 160u);
  // One whose segment has been cut begins another.
  std::filesystem::resize_file(root_.stream(stream_uid(1)) + "/" + root_.files(stream_uid(1)).front(), 40);
  ASSERT_TRUE(store_.put(kGroup, stream_uid(1), {{9, "after"}}, 1));
  EXPECT_EQ(root_.files(stream_uid(1)).size(), 2u);
}

}  // namespace
}  // namespace berth::logstore
