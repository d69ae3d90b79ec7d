#include "services/logs/events.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "base/log.h"
#include "services/logs/filter_pattern.h"
#include "services/logs/lookup.h"

namespace berth::services::logs {
namespace {

constexpr TimeMs kHourMs = 60 * 60 * 1000;
constexpr TimeMs kTooNewMs = 2 * kHourMs;
constexpr TimeMs kTooOldMs = 14 * 24 * kHourMs;
constexpr TimeMs kSpanMaxMs = 24 * kHourMs;
constexpr size_t kBatchBytesMax = 1'048'576;
constexpr size_t kEventOverheadBytes = 26;
constexpr size_t kEventsDefault = 10'000;
// An endTime left out means now: a client that follows goes on from the newest time it has seen, and must not
// be led into the future. A little beyond, for what is written while the answer is made.
constexpr TimeMs kNowAheadMs = 1000;
constexpr size_t kGroupsNamedMax = 64;

ApiError unavailable(const Error& error) {
  log_error("logs: {}", error.context);
  return {"ServiceUnavailableException", "The service cannot complete the request: " + error.context, 500};
}

ApiResult<void> check_batch(const std::vector<m::InputLogEvent>& events) {
  size_t bytes = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    bytes += events[i].message.size() + kEventOverheadBytes;
    if (i > 0 && events[i].timestamp < events[i - 1].timestamp) {
      return invalid_parameter("Log events in a single PutLogEvents request must be in chronological order.");
    }
  }
  if (bytes > kBatchBytesMax) {
    return invalid_parameter(fmt::format("Upload too large: {} bytes exceeds limit of {}", bytes, kBatchBytesMax));
  }
  return {};
}

// Of those that are kept: one event that is too old, too new or expired costs only itself.
ApiResult<void> check_span(const std::vector<m::InputLogEvent>& events) {
  if (events.empty() || events.back().timestamp - events.front().timestamp <= kSpanMaxMs) return {};
  return invalid_parameter("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.");
}

// Those to be kept lie between the too old and the too new; the events are sorted.
struct Accepted {
  size_t begin = 0;
  size_t end = 0;
  std::optional<m::RejectedLogEventsInfo> rejected;
};

Accepted accept(const std::vector<m::InputLogEvent>& events, TimeMs now_ms, TimeMs expiry) {
  const auto first_from = [&](TimeMs time) {
    return static_cast<size_t>(
        std::partition_point(events.begin(), events.end(), [&](const auto& event) { return event.timestamp < time; }) -
        events.begin());
  };
  const size_t too_old = first_from(now_ms - kTooOldMs);
  const size_t expired = first_from(expiry);
  Accepted accepted;
  accepted.begin = std::max(too_old, expired);
  accepted.end = std::max(accepted.begin, first_from(now_ms + kTooNewMs + 1));
  m::RejectedLogEventsInfo rejected;
  if (too_old > 0) rejected.too_old_log_event_end_index = static_cast<int32_t>(too_old);
  if (expired > 0) rejected.expired_log_event_end_index = static_cast<int32_t>(expired);
  if (accepted.end < events.size()) rejected.too_new_log_event_start_index = static_cast<int32_t>(accepted.end);
  if (rejected != m::RejectedLogEventsInfo{}) accepted.rejected = rejected;
  return accepted;
}

m::OutputLogEvent render(logstore::Event& event) {
  m::OutputLogEvent out;
  out.timestamp = event.position.timestamp_ms;
  out.message = std::move(event.message);
  out.ingestion_time = event.position.ingestion_ms;
  return out;
}

// "f/<position>" goes on after it, "b/<position>" before it.
struct Direction {
  bool forward = false;
  std::optional<logstore::Position> from;
};

ApiResult<Direction> direction_of(const m::GetLogEventsRequest& in) {
  Direction direction{in.start_from_head.value_or(false), std::nullopt};
  if (!in.next_token) return direction;
  direction.forward = in.next_token->starts_with("f/");
  if (!direction.forward && !in.next_token->starts_with("b/")) {
    return invalid_parameter("The specified nextToken is invalid.");
  }
  direction.from = logstore::Position::parse(std::string_view(*in.next_token).substr(2));
  if (!direction.from) return invalid_parameter("The specified nextToken is invalid.");
  return direction;
}

Answer<m::GetLogEventsResponse> read_stream(logstore::LogStore& store, logstore::Query query) {
  auto out = std::make_shared<m::GetLogEventsResponse>();
  const std::optional<logstore::Position> asked_from = query.from;
  out->events.emplace();
  auto page = store.read(query);
  // One that only got to the end of what a single read may scan is not the end: clients take an empty page
  // for it.
  while (page && page->events.empty() && page->resume) {
    query.from = page->resume;
    page = store.read(query);
  }
  if (!page) return tl::unexpected(unavailable(page.error()));
  logstore::Position first = asked_from.value_or(logstore::Position::before_all(std::max<TimeMs>(query.start_ms, 0)));
  logstore::Position last = first;
  if (!page->events.empty()) {
    first = page->events.front().position;
    last = page->events.back().position;
  }
  for (logstore::Event& event : page->events) out->events->push_back(render(event));
  out->next_forward_token = "f/" + last.to_string();
  out->next_backward_token = "b/" + first.to_string();
  return out;
}

ApiResult<std::vector<std::string>> selected_streams(const Context& context, const records::LogGroup& group,
                                                     const m::FilterLogEventsRequest& in) {
  std::vector<std::string> uids;
  for (const std::string& name : in.log_stream_names.value_or(std::vector<std::string>())) {
    const auto stream = find_stream(context, group, name);
    if (!stream) return tl::unexpected(stream.error());
    uids.push_back((*stream)->uid);
  }
  if (in.log_stream_name_prefix) {
    for (const auto& stream : streams_of(context, group, *in.log_stream_name_prefix)) uids.push_back(stream->uid);
  }
  return uids;
}

// What a token begins with: its question must be the same as this one in all but its page's size.
std::string token_head(const logstore::Query& query, const m::FilterLogEventsRequest& in) {
  const std::vector<std::string> streams = in.log_stream_names.value_or(std::vector<std::string>());
  const std::string question = fmt::format("filter {}\n{}\n{}\n{}\n{}\n{}", query.group_uid, in.start_time.value_or(-1),
                                           in.end_time.value_or(-1), in.filter_pattern.value_or(""),
                                           in.log_stream_name_prefix.value_or(""), fmt::join(streams, "\n"));
  return (query.forward ? "f/" : "b/") + page_token(question, "") + "/";
}

Answer<m::FilterLogEventsResponse> read_group(logstore::LogStore& store, const logstore::Query& query,
                                              const StreamNames::Names& names, const std::string& token_head) {
  auto page = store.read(query);
  if (!page) return tl::unexpected(unavailable(page.error()));
  auto out = std::make_shared<m::FilterLogEventsResponse>();
  out->searched_log_streams.emplace();
  out->events.emplace();
  for (logstore::Event& event : page->events) {
    const auto name = names.find(event.position.id.stream);
    if (name == names.end()) continue;  // made a moment ago, and not yet durable when this was asked
    m::FilteredLogEvent& to = out->events->emplace_back();
    to.log_stream_name = name->second;
    to.timestamp = event.position.timestamp_ms;
    to.message = std::move(event.message);
    to.ingestion_time = event.position.ingestion_ms;
    to.event_id = event.position.id.to_string();
  }
  if (page->resume) out->next_token = token_head + page->resume->to_string();
  return out;
}

}  // namespace

std::shared_ptr<const StreamNames::Names> StreamNames::of(const Context& context, const std::string& group_uid) {
  const std::string prefix = streams_prefix(context.scope(), group_uid);
  const state::Revision revision = context.store.range_revision(prefix);
  Kept& kept = groups_[group_uid];
  kept.used = ++clock_;
  if (!kept.names || kept.revision != revision) {
    auto names = std::make_shared<Names>();
    for (const auto& [key, stream] : records::range<records::LogStream>(context.store, prefix)) {
      if (const auto uid = logstore::parse_uid(stream->uid)) names->emplace(*uid, stream->name);
    }
    kept.revision = revision;
    kept.names = std::move(names);
  }
  const auto names = kept.names;
  if (groups_.size() > kGroupsNamedMax) {
    groups_.erase(std::min_element(groups_.begin(), groups_.end(),
                                   [](const auto& a, const auto& b) { return a.second.used < b.second.used; }));
  }
  return names;
}

Handled<m::PutLogEventsResponse> put_log_events(logstore::LogStore& store, const Context& context,
                                                const m::PutLogEventsRequest& in) {
  const auto group = find_group(context, in.log_group_name);
  if (!group) return tl::unexpected(group.error());
  const auto stream = find_stream(context, **group, in.log_stream_name);
  if (!stream) return tl::unexpected(stream.error());
  if (auto checked = check_batch(in.log_events); !checked) return tl::unexpected(checked.error());
  const Accepted accepted = accept(in.log_events, context.now_ms, expiry_ms(**group, context.now_ms));

  m::PutLogEventsResponse out;
  out.next_sequence_token = logstore::EventId{*logstore::parse_uid((*stream)->uid), 0, 0, 0}.to_string();
  out.rejected_log_events_info = accepted.rejected;
  const auto begin = in.log_events.begin();
  std::vector<m::InputLogEvent> events(begin + static_cast<ptrdiff_t>(accepted.begin),
                                       begin + static_cast<ptrdiff_t>(accepted.end));
  if (auto checked = check_span(events); !checked) return tl::unexpected(checked.error());
  return Handled<m::PutLogEventsResponse>::deferred(
      Pool::logs,
      [&store, group = *group, stream = *stream, now = context.now_ms, events = std::move(events),
       out = std::move(out)]() -> Answer<m::PutLogEventsResponse> {
        std::vector<logstore::NewEvent> added;
        for (const m::InputLogEvent& event : events) added.push_back({event.timestamp, event.message});
        if (auto put = store.put(group->uid, stream->uid, added, now); !put) {
          return tl::unexpected(unavailable(put.error()));
        }
        return std::make_shared<const m::PutLogEventsResponse>(out);
      });
}

Handled<m::GetLogEventsResponse> get_log_events(logstore::LogStore& store, const Context& context,
                                                const m::GetLogEventsRequest& in) {
  const auto group = find_group(context, in.log_group_name, in.log_group_identifier);
  if (!group) return tl::unexpected(group.error());
  const auto stream = find_stream(context, **group, in.log_stream_name);
  if (!stream) return tl::unexpected(stream.error());
  const auto direction = direction_of(in);
  if (!direction) return tl::unexpected(direction.error());

  logstore::Query query;
  query.group_uid = (*group)->uid;
  query.stream_uids = {(*stream)->uid};
  query.forward = direction->forward;
  query.from = direction->from;
  query.start_ms =
      std::max(in.start_time.value_or(std::numeric_limits<TimeMs>::min()), expiry_ms(**group, context.now_ms));
  if (in.end_time) query.end_ms = *in.end_time - 1;  // exclusive here
  query.events_max = in.limit ? static_cast<size_t>(*in.limit) : kEventsDefault;
  return Handled<m::GetLogEventsResponse>::deferred(
      Pool::logs, [&store, query = std::move(query)] { return read_stream(store, query); });
}

Handled<m::FilterLogEventsResponse> filter_log_events(logstore::LogStore& store, StreamNames& names,
                                                      const Context& context, const m::FilterLogEventsRequest& in) {
  const auto group = find_group(context, in.log_group_name, in.log_group_identifier);
  if (!group) return tl::unexpected(group.error());
  if (in.log_stream_names && in.log_stream_name_prefix) {
    return invalid_parameter("logStreamNames and logStreamNamePrefix cannot be specified together.");
  }
  auto pattern = FilterPattern::parse(in.filter_pattern.value_or(""));
  if (!pattern) return tl::unexpected(pattern.error());

  logstore::Query query;
  query.group_uid = (*group)->uid;
  if (in.log_stream_names || in.log_stream_name_prefix) {
    auto uids = selected_streams(context, **group, in);
    if (!uids) return tl::unexpected(uids.error());
    query.stream_uids = std::move(*uids);
  }
  query.forward = in.start_from_head.value_or(true);
  std::string head = token_head(query, in);
  if (in.next_token) {
    if (in.next_token->starts_with(head))
      query.from = logstore::Position::parse(std::string_view(*in.next_token).substr(head.size()));
    if (!query.from) return invalid_parameter("The specified nextToken is invalid.");
  }
  query.start_ms =
      std::max(in.start_time.value_or(std::numeric_limits<TimeMs>::min()), expiry_ms(**group, context.now_ms));
  query.end_ms = in.end_time.value_or(context.now_ms + kNowAheadMs);
  query.events_max = in.limit ? static_cast<size_t>(*in.limit) : kEventsDefault;
  if (!pattern->matches_all()) {
    query.matches = [pattern = std::move(*pattern)](std::string_view message) { return pattern.matches(message); };
  }
  return Handled<m::FilterLogEventsResponse>::deferred(
      Pool::logs, [&store, query = std::move(query), head = std::move(head), named = names.of(context, (*group)->uid)] {
        return read_group(store, query, *named, head);
      });
}

}  // namespace berth::services::logs
