// A log store in a directory of its own: what the tests of this folder share.
#pragma once

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>

#include "base/assert.h"
#include "base/fd.h"
#include "base/random.h"
#include "logstore/index.h"
#include "logstore/log_store.h"
#include "logstore/segment.h"
#include "logstore/writer/log_writer.h"

namespace berth::logstore {
using ::testing::ElementsAre;
using ::testing::IsEmpty;

inline const std::string kGroup = "00000000000000aa";
inline const std::string kStream = "0000000000000001";

inline std::string stream_uid(uint64_t number) { return uid_to_string(number); }

inline TimeMs now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

struct Root {
  std::string path;
  Root() {
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-logs-XXXXXX").string();
    BERTH_ASSERT(mkdtemp(pattern.data()) != nullptr);
    path = pattern;
  }
  ~Root() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string stream(const std::string& uid = kStream) const { return path + "/" + kGroup + "/" + uid; }
  std::vector<std::string> files(const std::string& uid = kStream) const {
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(stream(uid))) {
      found.push_back(entry.path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
  }
};

inline void append(LogWriter& writer, TimeMs timestamp, std::string_view message, TimeMs ingestion = 0) {
  ASSERT_EQ(writer.append(timestamp, ingestion ? ingestion : timestamp, message.data(), message.size()), 0);
}

inline std::vector<std::string> messages(const std::vector<Event>& events) {
  std::vector<std::string> found;
  for (const Event& event : events) found.push_back(event.message);
  return found;
}

inline std::vector<Event> read_all(LogStore& store, Query query = {}) {
  query.group_uid = kGroup;
  std::vector<Event> all;
  for (int pages = 0;; ++pages) {
    auto page = store.read(query);
    BERTH_ASSERT(page.has_value() && pages < 1'000'000);
    if (query.forward) {
      all.insert(all.end(), page->events.begin(), page->events.end());
    } else {
      all.insert(all.begin(), page->events.begin(), page->events.end());
    }
    if (!page->resume) return all;
    EXPECT_NE(query.from, page->resume);
    query.from = Position::parse(page->resume->to_string());  // as a client would hand it back
    BERTH_ASSERT(query.from == page->resume);
  }
}

class Logs : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(store_.make_stream(kGroup, kStream)); }
  Root root_;
  LogStore store_{root_.path};
};

}  // namespace berth::logstore
