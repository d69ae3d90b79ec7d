#include "services/logs/logs.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <map>
#include <set>

#include "base/assert.h"
#include "logstore/writer/log_writer.h"
#include "model/logs/operations.h"
#include "records/logs.h"
#include "records/read.h"
#include "services/logs/events.h"
#include "services/logs/filter_pattern.h"
#include "services/logs/groups.h"
#include "services/logs/streams.h"
#include "state/memory_store.h"

namespace berth::services::logs {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr TimeMs kDay = 24 * 60 * 60 * 1000;

class LogsService : public ::testing::Test {
 protected:
  LogsService() {
    add_handlers(registry_, *logs_);
    for (const auto& served : registry_.handlers()) handlers_[served.operation] = served.handler;
  }
  ~LogsService() override {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  static std::string make_directory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-logs-XXXXXX").string();
    BERTH_ASSERT(mkdtemp(pattern.data()) != nullptr);
    return pattern;
  }

  template <class Out = Nothing, class In>
  ApiResult<Out> call(const model::Operation& operation, const In& in) {
    const Context context{store_, tasks_, networks_, caller_, clock_.now_ms(), random_, capacity_};
    ErasedHandled handled = handlers_.at(&operation)(context, &in);
    if (!handled.answer) return tl::unexpected(handled.answer.error());
    BERTH_ASSERT(store_.apply(std::move(handled.transaction)).has_value());
    store_.settle();
    if (handled.later) handled.answer = handled.later();
    if (!handled.answer) return tl::unexpected(handled.answer.error());
    return *std::static_pointer_cast<const Out>(*handled.answer);
  }

  void make(const std::string& group, const std::string& stream = {}) {
    m::CreateLogGroupRequest in;
    in.log_group_name = group;
    (void)call(m::kCreateLogGroup, in);
    if (stream.empty()) return;
    m::CreateLogStreamRequest stream_in;
    stream_in.log_group_name = group;
    stream_in.log_stream_name = stream;
    ASSERT_TRUE(call(m::kCreateLogStream, stream_in));
  }
  ApiResult<m::PutLogEventsResponse> put(const std::vector<std::pair<TimeMs, std::string>>& events,
                                         const std::string& stream = "s") {
    m::PutLogEventsRequest in;
    in.log_group_name = "g";
    in.log_stream_name = stream;
    for (const auto& [timestamp, message] : events) in.log_events.push_back({timestamp, message});
    return call<m::PutLogEventsResponse>(m::kPutLogEvents, in);
  }
  ApiResult<m::FilterLogEventsResponse> filter(const std::function<void(m::FilterLogEventsRequest&)>& with = {}) {
    m::FilterLogEventsRequest in;
    in.log_group_name = "g";
    if (with) with(in);
    return call<m::FilterLogEventsResponse>(m::kFilterLogEvents, in);
  }
  std::vector<std::string> filtered(const std::function<void(m::FilterLogEventsRequest&)>& with = {}) {
    const auto out = filter(with);
    std::vector<std::string> messages;
    if (!out) return {out.error().type};
    for (const auto& event : *out->events) messages.push_back(*event.message);
    return messages;
  }
  TimeMs now() const { return clock_.now_ms(); }

  std::string path_ = make_directory();
  FakeClock clock_;
  Prng random_{1};
  state::MemoryStore store_;
  records::TaskIndex tasks_{store_};
  records::NetworkIndex networks_{store_};
  Caller caller_{"123456789012", "eu-central-1", "arn:aws:iam::123456789012:root", "AKIA"};
  Capacity capacity_;
  std::unique_ptr<logstore::LogStore> logs_ = std::make_unique<logstore::LogStore>(path_ + "/logs");
  Registry<model::Operation> registry_;
  std::map<const model::Operation*, ErasedHandler> handlers_;
};

TEST_F(LogsService, GroupsAreMadeDescribedAndDeleted) {
  for (const char* name : {"g", "/ecs/b", "/ecs/a", "/ecs-x", "other"}) make(name);
  m::CreateLogGroupRequest again;
  again.log_group_name = "g";
  const auto twice = call(m::kCreateLogGroup, again);
  EXPECT_EQ(twice.error(), (ApiError{"ResourceAlreadyExistsException", "The specified log group already exists"}));

  m::DescribeLogGroupsRequest in;
  std::vector<std::string> names;
  in.limit = 2;
  do {
    const auto out = call<m::DescribeLogGroupsResponse>(m::kDescribeLogGroups, in);
    ASSERT_TRUE(out);
    for (const auto& group : *out->log_groups) names.push_back(*group.log_group_name);
    in.next_token = out->next_token;
  } while (in.next_token);
  EXPECT_THAT(names, ElementsAre("/ecs-x", "/ecs/a", "/ecs/b", "g", "other"));

  in = {};
  in.log_group_name_prefix = "/ecs/";
  auto out = call<m::DescribeLogGroupsResponse>(m::kDescribeLogGroups, in);
  ASSERT_EQ(out->log_groups->size(), 2u);
  const m::LogGroup& group = out->log_groups->front();
  EXPECT_EQ(group.arn, "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/a:*");
  EXPECT_EQ(group.log_group_arn, "arn:aws:logs:eu-central-1:123456789012:log-group:/ecs/a");
  EXPECT_EQ(group.creation_time, now());
  EXPECT_FALSE(group.retention_in_days);
  in.log_group_name_pattern = "x";
  EXPECT_EQ(call<m::DescribeLogGroupsResponse>(m::kDescribeLogGroups, in).error().message,
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.");
  in.log_group_name_prefix.reset();
  EXPECT_EQ(call<m::DescribeLogGroupsResponse>(m::kDescribeLogGroups, in)->log_groups->size(), 1u);
  in.next_token = "nonsense";
  EXPECT_EQ(call<m::DescribeLogGroupsResponse>(m::kDescribeLogGroups, in).error().message,
            "The specified nextToken is invalid.");

  m::DeleteLogGroupRequest gone;
  gone.log_group_name = "g";
  EXPECT_TRUE(call(m::kDeleteLogGroup, gone));
  EXPECT_EQ(call(m::kDeleteLogGroup, gone).error(),
            (ApiError{"ResourceNotFoundException", "The specified log group does not exist."}));
}

TEST_F(LogsService, ADeletedGroupLeavesNothingBehind) {
  make("g");
  for (int i = 0; i < 200; ++i) make("g", "s" + std::to_string(i));
  ASSERT_TRUE(put({{now(), "old"}}, "s7"));
  m::DeleteLogGroupRequest in;
  in.log_group_name = "g";
  ASSERT_TRUE(call(m::kDeleteLogGroup, in));
  EXPECT_THAT(logs_->group_uids(), IsEmpty());
  make("g", "s7");  // empty, though its name is the same
  EXPECT_THAT(filtered(), IsEmpty());
  for (int calls = 0; calls < 10; ++calls) {
    auto maintenance = maintain(store_, *logs_, now());
    maintenance.work();
    if (maintenance.transaction.empty()) break;
    ASSERT_TRUE(store_.apply(std::move(maintenance.transaction)));
    store_.settle();
  }
  EXPECT_EQ(store_.range("logs/").size(), 2u);
  ASSERT_TRUE(put({{now(), "new"}}, "s7"));
  std::filesystem::create_directories(path_ + "/logs/00000000000000ff/0000000000000001");  // before a crash
  maintain(store_, *logs_, now()).work();
  EXPECT_EQ(logs_->group_uids().size(), 1u);
  EXPECT_THAT(filtered(), ElementsAre("new"));
}

TEST_F(LogsService, RetentionForgetsStreamsOfTasksThatNobodyKnows) {
  make("g", "by api");
  const auto group =
      records::get<records::LogGroup>(store_, records::keys::log_group({caller_.account, caller_.region}, "g"));
  const records::Scope scope{caller_.account, caller_.region};
  const records::keys::TaskPath known{scope, "c", "known"}, gone{scope, "c", "gone"};
  state::Transaction transaction;
  records::put(transaction, records::keys::task(records::keys::kTaskSpec, known), records::TaskSpec{});
  const auto stream = [&](const std::string& name, const std::string& uid, const records::keys::TaskPath& task) {
    records::put(transaction, records::keys::log_stream(scope, group->uid, name),
                 records::LogStream{name, uid, now(), task.str()});
    ASSERT_TRUE(logs_->make_stream(group->uid, uid));
  };
  for (int i = 0; i < 100; ++i)  // more than one transaction takes
    stream("silent" + std::to_string(i), fmt::format("{:016x}", 256 + i), gone);
  ASSERT_TRUE(store_.apply(std::move(transaction)));
  transaction = {};
  stream("running", "00000000000000a1", known);
  stream("ended", "00000000000000a2", gone);
  stream("spoke lately", "00000000000000a3", gone);
  ASSERT_TRUE(store_.apply(std::move(transaction)));
  m::PutRetentionPolicyRequest policy;
  policy.log_group_name = "g";
  policy.retention_in_days = 3;
  ASSERT_TRUE(call(m::kPutRetentionPolicy, policy));
  ASSERT_TRUE(put({{now(), "old"}}, "ended"));

  const auto hour = [&] {
    while (true) {
      auto maintenance = maintain(store_, *logs_, now());
      const bool more = !maintenance.transaction.empty();
      ASSERT_TRUE(store_.apply(std::move(maintenance.transaction)));
      store_.settle();
      maintenance.work();
      if (!more) return;
    }
  };
  const auto streams = [&] { return store_.range("logs/stream/").size(); };
  hour();
  hour();
  EXPECT_EQ(streams(), 104u) << "they are not old";
  clock_.advance_ms(2 * kDay);
  ASSERT_TRUE(put({{now(), "young"}}, "spoke lately"));
  clock_.advance_ms(2 * kDay);
  // Segments that a parked writer of ours holds open are not deleted: a restart lets go of them.
  logs_ = std::make_unique<logstore::LogStore>(path_ + "/logs");
  hour();
  hour();
  EXPECT_EQ(streams(), 3u) << "by api, running, spoke lately";
  EXPECT_FALSE(std::filesystem::exists(path_ + "/logs/" + group->uid + "/00000000000000a2"));
  EXPECT_TRUE(std::filesystem::exists(path_ + "/logs/" + group->uid + "/00000000000000a1"));
}

TEST_F(LogsService, ADeletedStreamLeavesTheOthers) {
  for (const char* name : {"kept", "gone"}) make("g", name);
  ASSERT_TRUE(put({{now() - 2, "kept"}}, "kept"));
  ASSERT_TRUE(put({{now() - 1, "gone"}}, "gone"));
  EXPECT_THAT(filtered(), ElementsAre("kept", "gone"));
  m::DeleteLogStreamRequest in;
  in.log_group_name = "g";
  in.log_stream_name = "gone";
  ASSERT_TRUE(call(m::kDeleteLogStream, in));
  EXPECT_THAT(filtered(), ElementsAre("kept"));
  EXPECT_EQ(call(m::kDeleteLogStream, in).error(),
            (ApiError{"ResourceNotFoundException", "The specified log stream does not exist."}));
  make("g", "gone");  // empty, though its name is the same
  EXPECT_THAT(filtered(), ElementsAre("kept"));
  ASSERT_TRUE(put({{now(), "new"}}, "gone"));
  EXPECT_THAT(filtered(), ElementsAre("kept", "new"));
  in.log_group_name = "nope";
  EXPECT_EQ(call(m::kDeleteLogStream, in).error(),
            (ApiError{"ResourceNotFoundException", "The specified log group does not exist."}));
}

TEST_F(LogsService, StreamsByNameAndByTime) {
  for (const char* name : {"b", "a/1", "c"}) make("g", name);
  ASSERT_TRUE(put({{now() - 1000, "1"}, {now() - 500, "2"}}, "b"));
  ASSERT_TRUE(put({{now() - 2000, "3"}}, "c"));
  const auto names = [&](const std::function<void(m::DescribeLogStreamsRequest&)>& with) {
    m::DescribeLogStreamsRequest in;
    in.log_group_identifier = "arn:aws:logs:eu-central-1:123456789012:log-group:g:*";
    in.limit = 2;
    with(in);
    std::vector<std::string> found;
    do {
      const auto out = call<m::DescribeLogStreamsResponse>(m::kDescribeLogStreams, in);
      if (!out) return std::vector<std::string>{out.error().message};
      for (const auto& stream : *out->log_streams) found.push_back(*stream.log_stream_name);
      in.next_token = out->next_token;
    } while (in.next_token);
    return found;
  };
  EXPECT_THAT(names([](auto&) {}), ElementsAre("a/1", "b", "c"));
  EXPECT_THAT(names([](auto& in) { in.descending = true; }), ElementsAre("c", "b", "a/1"));
  EXPECT_THAT(names([](auto& in) { in.log_stream_name_prefix = "a/"; }), ElementsAre("a/1"));
  EXPECT_THAT(names([](auto& in) { in.order_by = "LastEventTime", in.descending = true; }),
              ElementsAre("b", "c", "a/1"));
  EXPECT_THAT(names([](auto& in) { in.order_by = "LastEventTime", in.log_stream_name_prefix = "a"; }),
              ElementsAre("Cannot order by LastEventTime with a logStreamNamePrefix."));
  EXPECT_THAT(names([](auto& in) { in.log_group_name = "g"; }),
              ElementsAre("Exactly one of logGroupName and logGroupIdentifier must be specified."));
  EXPECT_THAT(names([](auto& in) { in.log_group_identifier = "arn:aws:logs:us-east-1:123456789012:log-group:g"; }),
              ElementsAre(HasSubstr("not that of a log group in this account and region")));

  m::DescribeLogStreamsRequest in;
  in.log_group_name = "g";
  in.log_stream_name_prefix = "b";
  const auto out = call<m::DescribeLogStreamsResponse>(m::kDescribeLogStreams, in);
  const m::LogStream& stream = out->log_streams->front();
  EXPECT_EQ(stream.first_event_timestamp, now() - 1000);
  EXPECT_EQ(stream.last_event_timestamp, now() - 500);
  EXPECT_EQ(stream.arn, "arn:aws:logs:eu-central-1:123456789012:log-group:g:log-stream:b");

  m::CreateLogStreamRequest again;
  again.log_group_name = "g";
  again.log_stream_name = "b";
  EXPECT_EQ(call(m::kCreateLogStream, again).error(),
            (ApiError{"ResourceAlreadyExistsException", "The specified log stream already exists"}));
}

TEST_F(LogsService, EachRuleOfABatchIsHeld) {
  make("g", "s");
  EXPECT_EQ(put({{now(), "x"}}, "absent").error(),
            (ApiError{"ResourceNotFoundException", "The specified log stream does not exist."}));
  EXPECT_EQ(put({{now(), "x"}, {now() - 1, "y"}}).error().message,
            "Log events in a single PutLogEvents request must be in chronological order.");
  EXPECT_EQ(put({{now() - kDay - 1, "x"}, {now(), "y"}}).error().message,
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
  EXPECT_TRUE(put({{now(), std::string(1'048'576 - 26, 'x')}}));
  EXPECT_EQ(put({{now(), std::string(1'048'576 - 25, 'x')}}).error().message,
            "Upload too large: 1048577 bytes exceeds limit of 1048576");
}

TEST_F(LogsService, TooOldTooNewAndExpiredEventsAreLeftOutAndCounted) {
  make("g", "s");
  const TimeMs hour = 60 * 60 * 1000;
  auto out = put({{now(), "kept"}, {now() + 2 * hour, "kept too"}, {now() + 2 * hour + 1, "too new"}});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->rejected_log_events_info->too_new_log_event_start_index, 2);
  EXPECT_FALSE(out->rejected_log_events_info->too_old_log_event_end_index);
  EXPECT_EQ(out->next_sequence_token->size(), 56u);
  out = put({{now() - 14 * kDay - 1, "too old"}, {now() - 14 * kDay, "old"}});
  EXPECT_EQ(out->rejected_log_events_info->too_old_log_event_end_index, 1);
  out = put({{now() - 20 * kDay, "too old"}, {now() - 1, "y"}});
  ASSERT_TRUE(out) << "24 hours are the bound of those that are kept";
  EXPECT_EQ(out->rejected_log_events_info->too_old_log_event_end_index, 1);
  EXPECT_FALSE(put({{now(), "z"}})->rejected_log_events_info);
  EXPECT_THAT(filtered(), ElementsAre("old", "y", "kept", "z"));  // what lies in the future is not there yet
  clock_.advance_ms(3 * hour);
  EXPECT_THAT(filtered(), ElementsAre("old", "y", "kept", "z", "kept too"));

  m::PutRetentionPolicyRequest retention;
  retention.log_group_name = "g";
  retention.retention_in_days = 2;
  EXPECT_THAT(call(m::kPutRetentionPolicy, retention).error().message,
              HasSubstr("Value '2' at 'retentionInDays' failed to satisfy constraint"));
  retention.retention_in_days = 1;
  ASSERT_TRUE(call(m::kPutRetentionPolicy, retention));
  EXPECT_THAT(filtered(), ElementsAre("y", "kept", "z", "kept too"));  // hidden at once, deleted by and by
  out = put({{now() - kDay - 1, "expired"}, {now() - kDay + 1, "not yet"}});
  EXPECT_EQ(out->rejected_log_events_info->expired_log_event_end_index, 1);
  out = put({{now() - 20 * kDay, "too old"}, {now() - 2 * kDay, "expired"}, {now(), "young"}});
  ASSERT_TRUE(out);
  EXPECT_EQ(out->rejected_log_events_info->too_old_log_event_end_index, 1);
  EXPECT_EQ(out->rejected_log_events_info->expired_log_event_end_index, 2);
  m::DeleteRetentionPolicyRequest no_retention;
  no_retention.log_group_name = "g";
  ASSERT_TRUE(call(m::kDeleteRetentionPolicy, no_retention));
  EXPECT_EQ(filtered().front(), "old");
}

TEST_F(LogsService, GetLogEventsGoesBothWaysAndTellsWhereTheEndIs) {
  make("g", "s");
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(put({{now() + i, std::to_string(i)}}));
  m::GetLogEventsRequest in;
  in.log_group_name = "g";
  in.log_stream_name = "s";
  in.limit = 4;
  const auto read = [&](std::optional<std::string> token) {
    in.next_token = std::move(token);
    auto out = call<m::GetLogEventsResponse>(m::kGetLogEvents, in);
    EXPECT_TRUE(out);
    std::string messages;
    for (const auto& event : *out->events) messages += *event.message;
    return std::pair(messages, *std::move(out));
  };
  auto [newest, at_end] = read({});
  EXPECT_EQ(newest, "6789");
  auto [before, second] = read(at_end.next_backward_token);
  EXPECT_EQ(before, "2345");
  EXPECT_EQ(read(second.next_backward_token).first, "01");
  EXPECT_EQ(read(second.next_forward_token).first, "6789");
  auto [nothing, still] = read(at_end.next_forward_token);
  EXPECT_EQ(nothing, "");
  EXPECT_EQ(still.next_forward_token, at_end.next_forward_token);  // the same token: the end
  ASSERT_TRUE(put({{now() + 20, "new"}}));
  EXPECT_EQ(read(at_end.next_forward_token).first, "new");
}

TEST_F(LogsService, GetLogEventsEndsBeforeItsEndTime) {
  make("g", "s");
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(put({{now() + i, std::to_string(i)}}));
  m::GetLogEventsRequest in;
  in.log_group_name = "g";
  in.log_stream_name = "s";
  in.start_from_head = true;
  in.start_time = now() + 1;
  in.end_time = now() + 3;
  const auto out = call<m::GetLogEventsResponse>(m::kGetLogEvents, in);
  ASSERT_EQ(out->events->size(), 2u);
  EXPECT_EQ(out->events->front().message, "1");
  EXPECT_EQ(out->events->front().ingestion_time, now());
  in.next_token = "x";
  EXPECT_EQ(call<m::GetLogEventsResponse>(m::kGetLogEvents, in).error().message, "The specified nextToken is invalid.");
}

TEST_F(LogsService, FilterLogEventsPagesOverStreams) {
  for (const char* stream : {"s", "web/1", "web/2"}) make("g", stream);
  for (int i = 0; i < 9; ++i) {
    const char* const stream = i % 3 == 0 ? "s" : i % 3 == 1 ? "web/1" : "web/2";
    ASSERT_TRUE(put({{now() + i, (i % 2 ? "ERROR " : "info ") + std::to_string(i)}}, stream));
  }
  EXPECT_EQ(filtered().size(), 9u);
  EXPECT_THAT(filtered([](auto& in) { in.log_stream_names = {"s"}; }), ElementsAre("info 0", "ERROR 3", "info 6"));
  EXPECT_EQ(filtered([](auto& in) { in.log_stream_name_prefix = "web/"; }).size(), 6u);
  EXPECT_THAT(filtered([](auto& in) { in.log_stream_name_prefix = "none"; }), IsEmpty());
  EXPECT_THAT(filtered([](auto& in) { in.log_stream_names = {"absent"}; }), ElementsAre("ResourceNotFoundException"));
  EXPECT_THAT(filtered([](auto& in) { in.log_stream_names = {"s"}, in.log_stream_name_prefix = "s"; }),
              ElementsAre("InvalidParameterException"));
  EXPECT_THAT(filtered([&](auto& in) {
                in.filter_pattern = "ERROR";
                in.start_time = now() + 3;
                in.end_time = now() + 5;  // inclusive
              }),
              ElementsAre("ERROR 3", "ERROR 5"));
  EXPECT_THAT(filtered([](auto& in) { in.filter_pattern = "{ $.a = 1 }"; }), ElementsAre("InvalidParameterException"));

  std::vector<std::string> messages;
  std::set<std::string> ids;
  std::optional<std::string> token;
  do {
    const auto out = filter([&](auto& in) { in.limit = 2, in.next_token = token; });
    ASSERT_TRUE(out);
    EXPECT_TRUE(out->searched_log_streams && out->searched_log_streams->empty());
    for (const auto& event : *out->events) {
      messages.push_back(*event.message);
      EXPECT_EQ(event.event_id->size(), 56u);
      ids.insert(*event.event_id);
    }
    token = out->next_token;
  } while (token);
  EXPECT_EQ(messages, filtered());
  EXPECT_EQ(ids.size(), 9u);
}

TEST_F(LogsService, ATokenBelongsToItsQuestion) {
  for (const char* stream : {"a", "b"}) {
    make("g", stream);
    ASSERT_TRUE(put({{now(), "1"}, {now(), "2"}, {now(), "3"}}, stream));
  }
  const auto token = filter([](auto& in) { in.limit = 2, in.log_stream_names = {"a"}; })->next_token;
  ASSERT_TRUE(token);
  const auto with = [&](auto change) {
    return filtered([&](auto& in) {
      in.log_stream_names = {"a"}, in.next_token = token;
      change(in);
    });
  };
  EXPECT_THAT(with([](auto&) {}), ElementsAre("3"));
  EXPECT_THAT(with([](auto& in) { in.limit = 5; }), ElementsAre("3"));
  const auto refused = ElementsAre("InvalidParameterException");
  EXPECT_THAT(with([](auto& in) { in.log_stream_names = {"b"}; }), refused);
  EXPECT_THAT(with([](auto& in) { in.log_stream_names = {}; }), refused);
  EXPECT_THAT(with([](auto& in) { in.filter_pattern = "3"; }), refused);
  EXPECT_THAT(with([&](auto& in) { in.start_time = now(); }), refused);
  EXPECT_THAT(with([&](auto& in) { in.end_time = now(); }), refused);
  EXPECT_THAT(with([](auto& in) { in.start_from_head = false; }), refused);
}

TEST_F(LogsService, AStreamMadeBetweenTwoCallsIsNamed) {
  make("g", "s");
  EXPECT_THAT(filtered(), IsEmpty());
  make("g", "later");
  ASSERT_TRUE(put({{now(), "x"}}, "later"));
  const auto out = filter();
  ASSERT_EQ(out->events->size(), 1u);
  EXPECT_EQ(out->events->front().log_stream_name, "later");
}

TEST_F(LogsService, TagsByNameAndByArn) {
  make("g");
  m::TagLogGroupRequest by_name;
  by_name.log_group_name = "g";
  by_name.tags = {{"a", "1"}, {"b", "2"}};
  ASSERT_TRUE(call(m::kTagLogGroup, by_name));
  m::TagResourceRequest by_arn;
  by_arn.resource_arn = "arn:aws:logs:eu-central-1:123456789012:log-group:g";
  by_arn.tags = {{"b", "3"}, {"c", "4"}};
  ASSERT_TRUE(call(m::kTagResource, by_arn));
  m::UntagLogGroupRequest untag;
  untag.log_group_name = "g";
  untag.tags = {"a"};
  ASSERT_TRUE(call(m::kUntagLogGroup, untag));
  m::ListTagsForResourceRequest list;
  list.resource_arn = by_arn.resource_arn + ":*";
  EXPECT_EQ(*call<m::ListTagsForResourceResponse>(m::kListTagsForResource, list)->tags,
            (model::StringMap{{"b", "3"}, {"c", "4"}}));
  for (int i = 0; i < 49; ++i) by_arn.tags["t" + std::to_string(i)] = "";
  EXPECT_EQ(call(m::kTagResource, by_arn).error().type, "TooManyTagsException");
  by_arn.tags = {{"aws:x", ""}};
  EXPECT_EQ(call(m::kTagResource, by_arn).error().type, "InvalidParameterException");
}

TEST(FilterPatterns, Terms) {
  const auto matches = [](const char* pattern, const char* message) {
    const auto parsed = FilterPattern::parse(pattern);
    EXPECT_TRUE(parsed) << pattern;
    return parsed && parsed->matches(message);
  };
  EXPECT_TRUE(matches("", "anything"));
  EXPECT_TRUE(matches("  ", "anything"));
  EXPECT_TRUE(matches("ERROR", "[ERROR 401] UNAUTHORIZED"));
  EXPECT_FALSE(matches("ERROR", "error"));
  EXPECT_TRUE(matches("b a", "a b"));
  EXPECT_FALSE(matches("a b", "a"));
  EXPECT_TRUE(matches("ERROR -WARN", "ERROR"));
  EXPECT_FALSE(matches("ERROR -WARN", "ERROR WARN"));
  EXPECT_FALSE(matches("-\"two words\"", "in two words"));
  EXPECT_TRUE(matches("\"two words\"", "in two words"));
  EXPECT_FALSE(matches("\"two words\"", "words two"));
  EXPECT_TRUE(matches("\"a \\\"quoted\\\" b\"", "a \"quoted\" b"));
  EXPECT_TRUE(matches("?a ?b", "b"));
  EXPECT_FALSE(matches("?a ?b", "c"));
  EXPECT_TRUE(matches("c ?a ?b", "c"));
}

TEST(FilterPatterns, OtherFormsAreNamed) {
  const auto message = [](const char* pattern) { return FilterPattern::parse(pattern).error().message; };
  EXPECT_THAT(message("{ $.a = 1 }"), HasSubstr("JSON patterns"));
  EXPECT_THAT(message("[w1, w2]"), HasSubstr("space-delimited"));
  EXPECT_THAT(message("%x%"), HasSubstr("regular expressions"));
  EXPECT_THAT(message("\"open"), HasSubstr("not closed"));
  EXPECT_THAT(message("a -"), HasSubstr("missing"));
  EXPECT_THAT(message("\"a\"b"), HasSubstr("separated by spaces"));
  EXPECT_EQ(message("foo.bar"), "Invalid character(s) in term 'foo.bar'");
}

}  // namespace
}  // namespace berth::services::logs
