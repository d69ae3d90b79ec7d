#include "services/logs/streams.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/logs/lookup.h"

namespace berth::services::logs {
namespace {

constexpr size_t kPageDefault = 50;

using Streams = std::vector<std::shared_ptr<const records::LogStream>>;

struct Question {
  records::Scope scope;
  std::string group_name;
  std::string group_uid;
  bool by_time = false;
  bool descending = false;
  size_t page_size = kPageDefault;
  std::string token_question;
  std::string after;  // the sort key of the last stream of the page before
};

// Streams sort by this text; times have leading zeroes, and streams without events come before all others.
std::string sort_key(const Question& question, const records::LogStream& stream, const logstore::StreamFacts* facts) {
  if (!question.by_time) return stream.name;
  return fmt::format("{:015} {}", facts && facts->last_event_ms ? std::max<TimeMs>(*facts->last_event_ms, 0) + 1 : 0,
                     stream.name);
}

m::LogStream render(const Question& question, const records::LogStream& stream, const logstore::StreamFacts& facts) {
  m::LogStream out;
  out.log_stream_name = stream.name;
  out.creation_time = stream.created_at_ms;
  out.first_event_timestamp = facts.first_event_ms;
  out.last_event_timestamp = facts.last_event_ms;
  out.last_ingestion_time = facts.last_ingestion_ms;
  out.upload_sequence_token = logstore::EventId{*logstore::parse_uid(stream.uid), 0, 0, 0}.to_string();
  out.arn = stream_arn(question.scope, question.group_name, stream.name);
  out.stored_bytes = 0;  // AWS has stopped counting by stream, and says 0
  return out;
}

std::vector<logstore::StreamFacts> facts_of(logstore::LogStore& store, const Question& question,
                                            const Streams& streams) {
  std::vector<std::string> uids;
  for (const auto& stream : streams) uids.push_back(stream->uid);
  return store.facts(question.group_uid, uids);
}

// `streams` by ascending sort key, with those of earlier pages: what is left of them for this page.
Streams cut(const Question& question,
            std::vector<std::pair<std::string, std::shared_ptr<const records::LogStream>>> keyed,
            std::optional<std::string>& next_token) {
  std::sort(keyed.begin(), keyed.end());
  if (question.descending) std::reverse(keyed.begin(), keyed.end());
  Streams page;
  std::string last;
  for (auto& [key, stream] : keyed) {
    if (!question.after.empty() && (question.descending ? key >= question.after : key <= question.after)) continue;
    if (page.size() == question.page_size) {
      next_token = page_token(question.token_question, last);
      break;
    }
    last = key;
    page.push_back(std::move(stream));
  }
  return page;
}

Answer<m::DescribeLogStreamsResponse> answer(logstore::LogStore& store, const Question& question,
                                             const Streams& streams) {
  std::vector<std::pair<std::string, std::shared_ptr<const records::LogStream>>> keyed;
  std::vector<logstore::StreamFacts> facts;
  if (question.by_time) facts = facts_of(store, question, streams);
  for (size_t i = 0; i < streams.size(); ++i) {
    keyed.emplace_back(sort_key(question, *streams[i], question.by_time ? &facts[i] : nullptr), streams[i]);
  }
  auto out = std::make_shared<m::DescribeLogStreamsResponse>();
  const Streams page = cut(question, std::move(keyed), out->next_token);
  facts = facts_of(store, question, page);
  out->log_streams.emplace();
  for (size_t i = 0; i < page.size(); ++i) out->log_streams->push_back(render(question, *page[i], facts[i]));
  return out;
}

}  // namespace

Handled<Nothing> create_log_stream(const Context& context, const m::CreateLogStreamRequest& in) {
  const auto group = find_group(context, in.log_group_name);
  if (!group) return tl::unexpected(group.error());
  const std::string key = records::keys::log_stream(context.scope(), (*group)->uid, in.log_stream_name);
  if (context.store.get(key)) {
    return refuse("ResourceAlreadyExistsException", "The specified log stream already exists");
  }
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  records::put(transaction, key,
               records::LogStream{in.log_stream_name, new_hex_id(context.random, 16), context.now_ms});
  sweep_deleted(context.store, transaction);
  return {Nothing{}, std::move(transaction)};
}

Handled<Nothing> delete_log_stream(logstore::LogStore& store, const Context& context,
                                   const m::DeleteLogStreamRequest& in) {
  const auto group = find_group(context, in.log_group_name);
  if (!group) return tl::unexpected(group.error());
  const auto stream = find_stream(context, **group, in.log_stream_name);
  if (!stream) return tl::unexpected(stream.error());
  state::Transaction transaction;
  transaction.durability = state::Durability::acknowledged;
  transaction.erase(records::keys::log_stream(context.scope(), (*group)->uid, in.log_stream_name));
  return Handled<Nothing>::deferred(
      Pool::logs,
      [&store, group_uid = (*group)->uid, uid = (*stream)->uid]() -> Answer<Nothing> {
        // Nobody reads a stream without a record. What cannot be removed now goes with its group.
        (void)store.remove_stream(group_uid, uid);
        return std::make_shared<const Nothing>();
      },
      std::move(transaction));
}

Handled<m::DescribeLogStreamsResponse> describe_log_streams(logstore::LogStore& store, const Context& context,
                                                            const m::DescribeLogStreamsRequest& in) {
  const auto group = find_group(context, in.log_group_name, in.log_group_identifier);
  if (!group) return tl::unexpected(group.error());
  Question question;
  question.scope = context.scope();
  question.group_name = (*group)->name;
  question.group_uid = (*group)->uid;
  question.by_time = in.order_by == "LastEventTime";
  question.descending = in.descending.value_or(false);
  if (in.limit) question.page_size = static_cast<size_t>(*in.limit);
  if (question.by_time && in.log_stream_name_prefix) {
    return invalid_parameter("Cannot order by LastEventTime with a logStreamNamePrefix.");
  }
  question.token_question = fmt::format("streams {} {} {} {}", question.group_uid, question.by_time,
                                        question.descending, in.log_stream_name_prefix.value_or(""));
  auto after = open_page_token(question.token_question, in.next_token);
  if (!after) return tl::unexpected(after.error());
  question.after = std::move(*after);
  return Handled<m::DescribeLogStreamsResponse>::deferred(
      Pool::logs, [&store, question = std::move(question),
                   streams = streams_of(context, **group, in.log_stream_name_prefix.value_or(""))] {
        return answer(store, question, streams);
      });
}

}  // namespace berth::services::logs
