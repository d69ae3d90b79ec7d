#include <fmt/format.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "logstore/log_store.h"

namespace berth::cli {
namespace {

constexpr const char* kHelp = R"(Usage: berth logs [--follow] [--timestamps] TASK [CONTAINER] [--state DIR]

Prints what a task's containers have written, in the order of time. TASK is a
task's id, the beginning of one, or its ARN. Containers with a log configuration
have all of it here, those without one their last 10 MB.

  -f, --follow       go on as lines come, until the task has stopped
  -t, --timestamps   put the time before each line
  --state DIR        the daemon's state directory (default: /var/lib/berth)
)";

// One container's stream: read from where the last page ended.
struct Source {
  std::string container;
  std::string root;
  std::string directory;  // below the root; not there before the first line
  std::unique_ptr<logstore::LogStore> store;
  logstore::Query query;
  std::vector<logstore::Event> page = {};
  size_t next = 0;  // of the page, to be printed
  bool more = true;
};

// What is asked for, and what of it has a stream yet. A container without a log configuration has one from the
// beginning, one with awslogs from its first start on.
struct Reader {
  std::string container;  // only this one; empty: all
  size_t containers = 0;  // of the task that are asked for
  size_t streams = 0;     // of all of the task's containers, by the last answer
  std::vector<Source> sources = {};
  std::vector<std::string> gone =
      {};  // of containers that have started and have no stream any more: what to say of them
};

// Takes the sources that an answer has and the reader does not know yet.
Result<void> take_sources(Reader& reader, const json::Value& answer) {
  reader.containers = reader.streams = 0;
  reader.gone.clear();
  for (const json::Value& entry : answer["containers"].array_or_empty()) {
    const bool has_stream = !entry["stream"].string_or("").empty();
    reader.streams += has_stream;
    Source source;
    source.container = entry["name"].string_or("");
    if (!reader.container.empty() && source.container != reader.container) continue;
    ++reader.containers;
    if (const std::string group = entry["deletedGroup"].string_or(""); !group.empty())
      reader.gone.push_back(
          fmt::format("the log stream of container {}, in the log group {}, was deleted", source.container, group));
    const auto known = [&](const Source& other) { return other.container == source.container; };
    if (!has_stream || std::any_of(reader.sources.begin(), reader.sources.end(), known)) continue;
    source.root = entry["root"].string_or("");
    source.query.group_uid = entry["group"].string_or("");
    source.query.stream_uids = {{entry["stream"].string_or("")}};
    source.directory = fmt::format("{}/{}/{}", source.root, source.query.group_uid, source.query.stream_uids->front());
    source.store = std::make_unique<logstore::LogStore>(source.root);
    reader.sources.push_back(std::move(source));
  }
  if (reader.containers == 0) return fail(fmt::format("the task has no container {}", reader.container));
  return {};
}

std::string time_text(TimeMs ms) {
  const time_t seconds = ms / 1000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z ", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ms % 1000);
}

// Makes sure that the source's next event is in its page, if it has one.
Result<void> turn_page(Source& source) {
  while (source.next == source.page.size() && source.more) {
    auto page = source.store->read(source.query);
    if (!page) return tl::unexpected(page.error());
    source.page = std::move(page->events);
    source.next = 0;
    source.more = page->resume.has_value();
    if (page->resume) {
      source.query.from = page->resume;
    } else if (!source.page.empty()) {
      source.query.from = source.page.back().position;
    }
  }
  return {};
}

// Everything new of all sources, merged by time; a page of each is held, however long they are.
Result<void> print_new(Reader& reader, bool timestamps) {
  for (Source& source : reader.sources) source.more = true;
  while (true) {
    Source* first = nullptr;
    for (Source& source : reader.sources) {
      if (auto turned = turn_page(source); !turned) return turned;
      if (source.next == source.page.size()) continue;
      if (!first || source.page[source.next].position < first->page[first->next].position) first = &source;
    }
    if (!first) break;
    const logstore::Event& event = first->page[first->next++];
    if (timestamps) fmt::print("{}", time_text(event.position.timestamp_ms));
    if (reader.containers > 1) fmt::print("{} | ", first->container);
    fmt::print("{}{}", event.message, event.message.ends_with('\n') ? "" : "\n");  // those of several lines have theirs
    if (std::ferror(stdout)) return fail("standard output is closed");
  }
  std::fflush(stdout);
  if (std::ferror(stdout)) return fail("standard output is closed");
  return {};
}

// Watches a directory, or, while that is not there, what is there of the way to it.
Result<void> watch_way_to(const Source& source, const Fd& watch) {
  for (int times = 0; times < 2; ++times) {  // once more, for what was made between the look and the watch
    std::string path = source.directory;
    while (::inotify_add_watch(watch.get(), path.c_str(), IN_MODIFY | IN_CREATE | IN_ATTRIB) < 0) {
      if (errno != ENOENT || path == source.root) return fail(errno, "watching " + path);
      path.resize(path.rfind('/'));
    }
  }
  return {};
}

// Until the task has stopped, and all that it wrote is printed. Where the daemon goes away meanwhile, lines still come
// (the task goes on), but nobody tells of the end or of containers that start.
Result<void> follow(Reader& reader, const std::string& state, const std::string& task, bool timestamps) {
  Fd watch(::inotify_init1(IN_CLOEXEC));
  if (!watch) return fail(errno, "inotify_init1");
  char events[16384];
  Fd news;
  for (bool ended = false, asks = true; true;) {
    if (asks) {
      auto asked = begin_to_ask(state, fmt::format("/tasks/{}/logs?beyond={}", task, reader.streams));
      if (!asked) return tl::unexpected(asked.error());
      news = std::move(*asked);
      asks = false;
    }
    // Watched before they are read, so that nothing falls between the two.
    for (const Source& source : reader.sources)
      if (const auto watched = watch_way_to(source, watch); !watched) return watched;
    if (const auto printed = print_new(reader, timestamps); !printed || ended) return printed;
    pollfd waits[] = {{watch.get(), POLLIN, 0}, {news.get(), POLLIN, 0}};
    if (::poll(waits, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return fail(errno, "poll");
    }
    if (waits[0].revents != 0 && ::read(watch.get(), events, sizeof events) < 0 && errno != EINTR)
      return fail(errno, "inotify");
    if (waits[1].revents != 0) {
      const auto answer = read_answer(news);
      news.reset();
      if (!answer) continue;
      if (auto taken = take_sources(reader, *answer); !taken) return taken;
      ended = (*answer)["stopped"].bool_or(false);
      asks = !ended;
    }
  }
}

// The id in an ARN, or the beginning of one as it was typed; empty where it cannot be either.
std::string id_of(const std::string& task) {
  const std::string id = task.substr(task.rfind('/') + 1);
  const bool fits =
      id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) { return std::isalnum(c); });
  return fits ? id : "";
}

}  // namespace

int logs(const std::vector<std::string>& argv) {
  const auto arguments = Arguments::parse(argv, {{"follow", false, 'f'}, {"timestamps", false, 't'}, {"state", true}});
  if (!arguments) return misused("logs", arguments.error().context);
  if (arguments->has("help")) return fmt::print("{}", kHelp), 0;
  const auto& operands = arguments->operands();
  if (operands.empty() || operands.size() > 2)
    return misused("logs", "takes a task and, if you like, one of its containers");
  const std::string task = id_of(operands[0]);
  if (task.empty()) return complain(fmt::format("'{}' is no task's id", operands[0]));
  const std::string state = arguments->value("state", kDefaultStateDirectory);
  const bool timestamps = arguments->has("timestamps");
  Reader reader{operands.size() == 2 ? operands[1] : ""};
  const auto answer = ask_daemon(state, "GET", "/tasks/" + task + "/logs");
  if (!answer) return complain(answer.error().context);
  if (const auto taken = take_sources(reader, *answer); !taken) return complain(taken.error().context);
  if (!reader.gone.empty() && reader.sources.empty())
    return complain(fmt::format("task {}: {}", task, fmt::join(reader.gone, "; ")));
  for (const std::string& gone : reader.gone) fmt::print(stderr, "berth: {}\n", gone);
  if (!arguments->has("follow") && reader.sources.empty())
    return complain(fmt::format("task {} has no log yet: no container of it has started", task));
  const auto done = arguments->has("follow") ? follow(reader, state, task, timestamps) : print_new(reader, timestamps);
  return done ? 0 : complain(done.error().context);
}

}  // namespace berth::cli
