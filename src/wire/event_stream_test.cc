#include "wire/event_stream.h"

#include <gtest/gtest.h>

namespace berth::wire {
namespace {

TEST(EventStream, AMessageAsAwsWritesIt) {
  std::string out;
  append_event(out, {}, "");
  // The vector "empty_message" of the AWS SDKs.
  EXPECT_EQ(out, std::string("\0\0\0\x10\0\0\0\0\x05\xc2\x48\xeb\x7d\x98\xc8\xff", 16));
  out.clear();
  const EventHeader headers[] = {{"event-type", "x"}};
  append_event(out, headers, "{}");
  EXPECT_EQ(out.size(), 16u + 4 + 10 + 1 + 2);
  EXPECT_EQ(out.substr(12, 15), std::string("\x0a"
                                            "event-type\x07\0\x01x",
                                            15));
  EXPECT_EQ(out.substr(27, 2), "{}");
}

TEST(EventStream, ServerSentEvents) {
  std::string out;
  append_server_sent_event(out, "log", "one\ntwo");
  append_server_sent_event(out, "", "");
  EXPECT_EQ(out, "event: log\ndata: one\ndata: two\n\ndata: \n\n");
}

}  // namespace
}  // namespace berth::wire
