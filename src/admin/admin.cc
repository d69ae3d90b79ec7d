#include "admin/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "admin/net.h"
#include "agent/apply/task_plan.h"
#include "base/limits.h"
#include "model/ecs/task.h"
#include "model/json_codec.h"
#include "records/logs.h"
#include "records/read.h"
#include "services/ecs/task_render.h"

namespace berth::admin {

using namespace records;  // NOLINT: everything here is read from records

namespace {

constexpr const char* kEnding = "the daemon is ending";
constexpr const char* kNoImages = "the agent is simulated: it has no images";
constexpr const char* kStopNotWritten =
    "the tasks' stop could not be written to the state directory (is its disk full?); nothing was stopped";
constexpr const char* kEndingBeforeTasks = "the daemon is ending, before all tasks have stopped";

void answer(wire::AdminCall& call, const json::Value& value) { call.respond(200, json::to_string(value)); }

}  // namespace

int64_t tasks_left(const state::Store& store) {
  int64_t left = 0;
  for (const auto& [key, spec] : range<TaskSpec>(store, keys::kTaskSpec)) {
    const auto status = get<TaskStatus>(store, keys::task(keys::kTaskStatus, keys::task_path(key)));
    if (!status || status->state != TaskState::stopped) ++left;
  }
  return left;
}

void Admin::on_state_thread(wire::AdminEndpoint& endpoint, const char* method, const char* path,
                            void (Admin::*handler)(const CallPtr&)) {
  endpoint.on(method, path, [this, handler](std::unique_ptr<wire::AdminCall> call) {
    needs_.state_thread.post([this, handler, shared = CallPtr(std::move(call))] { (this->*handler)(shared); });
  });
}

void Admin::on_worker(wire::AdminEndpoint& endpoint, const char* path,
                      Result<json::Value> (Admin::*handler)(const json::Value&)) {
  endpoint.on("POST", path, [this, handler](std::unique_ptr<wire::AdminCall> call) {
    if (!needs_.images) return call->respond_error(400, kNoImages);
    image_workers_.post([this, handler, shared = CallPtr(std::move(call))] {
      const auto body = json::parse(shared->body);
      if (!body) return shared->respond_error(400, body.error().context);
      const auto done = (this->*handler)(*body);
      if (done)
        answer(*shared, *done);
      else
        shared->respond_error(400, done.error().context);
    });
  });
}

void Admin::serve(wire::AdminEndpoint& endpoint) {
  on_state_thread(endpoint, "GET", "/about", &Admin::about);
  on_state_thread(endpoint, "GET", "/tasks", &Admin::tasks);
  on_state_thread(endpoint, "GET", "/tasks/*", &Admin::task);
  on_state_thread(endpoint, "GET", "/images", &Admin::images);
  on_state_thread(endpoint, "GET", "/net", &Admin::net);
  on_state_thread(endpoint, "POST", "/net/why", &Admin::net_why);
  on_state_thread(endpoint, "POST", "/stop", &Admin::stop);
  on_worker(endpoint, "/images/load", &Admin::load_image);
  endpoint.on("POST", "/images/pull", [this](std::unique_ptr<wire::AdminCall> call) { pull_image(std::move(call)); });
  on_worker(endpoint, "/images/remove", &Admin::remove_image);
}

void Admin::about(const CallPtr& call) {
  json::Value out;
  out.set("endpoint", needs_.endpoint);
  out.set("account", needs_.account);
  out.set("region", needs_.region);
  out.set("agent", needs_.world.simulated_agent ? "simulated" : "real");
  out.set("memoryMib", needs_.world.capacity.memory_mib);
  out.set("reservedMib", needs_.world.tasks.reserved().memory_mib);
  answer(*call, out);
}

void Admin::net(const CallPtr& call) {
  answer(*call, tell_network(needs_.network ? needs_.network() : dataplane::HostNetwork{}));
}

void Admin::net_why(const CallPtr& call) {
  const auto body = json::parse(call->body);
  if (!body) return call->respond_error(400, body.error().context);
  const auto told = tell_why(needs_.network ? needs_.network() : dataplane::HostNetwork{}, *body);
  if (!told) return call->respond_error(400, told.error().context);
  answer(*call, *told);
}

void Admin::tasks(const CallPtr& call) {
  const bool all = call->query.find("all=1") != std::string::npos;
  std::string out = fmt::format(R"({{"agent":"{}","tasks":[)", needs_.world.simulated_agent ? "simulated" : "real");
  // The oldest first. Keys, which decide between tasks of one millisecond, come in order already.
  std::vector<std::pair<TimeMs, keys::TaskPath>> paths;
  for (const auto& [key, spec] : range<TaskSpec>(needs_.world.store, keys::kTaskSpec))
    paths.emplace_back(spec->created_at_ms, keys::task_path(key));
  std::stable_sort(paths.begin(), paths.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  bool first = true;
  for (const auto& [created_at_ms, path] : paths) {
    const Caller caller{path.scope.account, path.scope.region, "", ""};
    const auto context = front::context_of(needs_.world, caller, needs_.world.clock.now_ms());
    const auto view = services::ecs::load_task(context, path);
    if (!all && view.state() == TaskState::stopped) continue;
    if (!std::exchange(first, false)) out += ",";
    out += model::to_json(services::ecs::render_task(context, view, true));
  }
  call->respond(200, out + "]}");
}

// /tasks/<beginning of an id>/logs, and with ?beyond=N when there are more than N log streams or the task has stopped
void Admin::task(const CallPtr& call) {
  const std::string_view rest = std::string_view(call->path).substr(std::string_view("/tasks/").size());
  const size_t slash = rest.find('/');
  const std::string beginning(rest.substr(0, slash));
  const std::string_view what = slash == rest.npos ? "" : rest.substr(slash + 1);
  std::optional<keys::TaskPath> found;
  for (const auto& [key, spec] : range<TaskSpec>(needs_.world.store, keys::kTaskSpec)) {
    const keys::TaskPath path = keys::task_path(key);
    if (!path.id.starts_with(beginning)) continue;
    if (found) return call->respond_error(400, fmt::format("more than one task's id begins with {}", beginning));
    found = path;
  }
  if (!found) return call->respond_error(404, fmt::format("no task's id begins with {}", beginning));
  if (what == "logs") return task_logs(call, *found);
  call->respond_error(404, fmt::format("nothing is known of a task's {}", what));
}

// Where each container's lines lie. A container whose stream is not made yet has none.
json::Array Admin::log_streams(const keys::TaskPath& path) const {
  const state::Store& store = needs_.world.store;
  json::Array containers;
  const auto spec = get<TaskSpec>(store, keys::task(keys::kTaskSpec, path));
  const auto definition =
      spec ? get<TaskDefinition>(store, keys::task_definition(path.scope, spec->family, spec->revision)) : nullptr;
  const auto observed = get<TaskObserved>(store, keys::task(keys::kTaskObserved, path));
  for (size_t i = 0; definition && i < definition->containers.size(); ++i) {
    const ContainerDefinition& container = definition->containers[i];
    json::Value entry;
    entry.set("name", container.name);
    entry.set("root", needs_.state_directory + "/task-logs");
    entry.set("group", agent::own_log_group(path.id));
    entry.set("stream", agent::own_log_stream(i));
    if (container.logs) {
      const Scope scope{path.scope.account, container.logs->region};
      const auto group = get<LogGroup>(store, keys::log_group(scope, container.logs->group));
      const auto stream =
          group ? get<LogStream>(store, keys::log_stream(scope, group->uid,
                                                         records::stream_name(*container.logs, container.name, path.id)))
                : nullptr;
      const bool started = observed && std::any_of(observed->containers.begin(), observed->containers.end(),
                                                   [&](const ContainerObserved& seen) {
                                                     return seen.name == container.name && seen.starts > 0;
                                                   });
      if (started && !stream) entry.set("deletedGroup", container.logs->group);
      entry.set("root", needs_.state_directory + "/logs");
      entry.set("group", stream ? group->uid : "");
      entry.set("stream", stream ? stream->uid : "");
    }
    containers.push_back(std::move(entry));
  }
  return containers;
}

void Admin::task_logs(CallPtr call, const keys::TaskPath& path) {
  Follower follower{path, -1, std::move(call)};
  const std::string_view query = follower.call->query;
  constexpr std::string_view kBeyond = "beyond=";
  if (query.starts_with(kBeyond)) {
    const auto [end, error] =
        std::from_chars(query.data() + kBeyond.size(), query.data() + query.size(), follower.beyond);
    if (error != std::errc{} || end != query.data() + query.size())
      return follower.call->respond_error(400, "beyond= takes a number of log streams");
  }
  if (told(follower)) return;
  if (ending_) return follower.call->respond_error(503, kEnding);
  if (followers_.size() >= limits::kFollowersMax)
    return follower.call->respond_error(503, "too many follow tasks' logs already");
  followers_.push_back(std::move(follower));
}

bool Admin::told(const Follower& follower) const {
  const state::Store& store = needs_.world.store;
  const auto status = get<TaskStatus>(store, keys::task(keys::kTaskStatus, follower.path));
  const bool stopped =
      status ? status->state == TaskState::stopped : !store.get(keys::task(keys::kTaskSpec, follower.path));
  json::Array containers = log_streams(follower.path);
  const auto streams = std::count_if(containers.begin(), containers.end(), [](const json::Value& container) {
    return !container["stream"].string_or("").empty();
  });
  if (!stopped && streams <= follower.beyond) return false;
  json::Value out;
  out.set("containers", std::move(containers));
  out.set("stopped", stopped);
  answer(*follower.call, out);
  return true;
}

void Admin::images(const CallPtr& call) {
  json::Array list;
  if (needs_.images)
    for (const auto& image : needs_.images->list()) {
      json::Value entry;
      entry.set("name", image.name);
      entry.set("digest", image.digest);
      entry.set("sizeBytes", image.size_bytes);
      list.push_back(std::move(entry));
    }
  json::Value out;
  out.set("images", std::move(list));
  answer(*call, out);
}

Result<json::Value> Admin::load_image(const json::Value& body) {
  const auto loaded = needs_.images->load(body["source"].string_or(""), body["name"].string_or(""));
  if (!loaded) return tl::unexpected(loaded.error());
  json::Value out;
  out.set("name", loaded->name);
  return out;
}

void Admin::pull_image(std::unique_ptr<wire::AdminCall> call) {
  if (!needs_.images) return call->respond_error(400, kNoImages);
  const auto body = json::parse(call->body);
  if (!body) return call->respond_error(400, body.error().context);
  needs_.images->pull((*body)["name"].string_or(""), [shared = CallPtr(std::move(call))](const auto& pulled) {
    if (!pulled) return shared->respond_error(400, pulled.error().context);
    json::Value out;
    out.set("name", pulled->name);
    answer(*shared, out);
  });
}

Result<json::Value> Admin::remove_image(const json::Value& body) {
  if (auto removed = needs_.images->remove(body["name"].string_or("")); !removed)
    return tl::unexpected(removed.error());
  json::Value out;
  out.set("name", body["name"]);
  return out;
}

void Admin::stop(const CallPtr& call) {
  const auto body = json::parse(call->body);
  if (body && (*body)["stopTasks"].bool_or(false)) return stop_tasks(call);
  json::Value out;
  out.set("tasksRunning", tasks_left(needs_.world.store));
  answer(*call, out);
  needs_.end();
}

void Admin::stop_tasks(const CallPtr& call) {
  if (ending_) return call->respond_error(503, kEndingBeforeTasks);
  needs_.hold_services(true);
  stops_.push_back(call);
  state::Store& store = needs_.world.store;
  const TimeMs now = needs_.world.clock.now_ms();
  for (const auto& [key, spec] : range<TaskSpec>(store, keys::kTaskSpec)) {
    const std::string intent = keys::task(keys::kTaskIntent, keys::task_path(key));
    if (store.get(intent)) continue;
    state::Transaction transaction;
    transaction.durability = state::Durability::acknowledged;
    put(transaction, intent, TaskIntent{now, "Stopped by 'berth stop --stop-tasks'"});
    if (!store.apply(std::move(transaction))) return give_up_stop();
  }
  store.when_durable(store.head(), [this](bool durable) {
    if (!durable) give_up_stop();
  });
}

// What was asked of the tasks is not on the disk, and so was taken back: services go on, and whoever asked may ask
// again.
void Admin::give_up_stop() {
  if (stops_.empty()) return;  // all tasks had stopped before, and the daemon is ending
  needs_.hold_services(false);
  for (const CallPtr& stop : std::exchange(stops_, {})) stop->respond_error(500, kStopNotWritten);
}

void Admin::answer_those_who_wait() {
  std::erase_if(followers_, [this](const Follower& follower) { return told(follower); });
  if (stops_.empty() || tasks_left(needs_.world.store) > 0) return;
  json::Value out;
  out.set("tasksRunning", 0);
  for (const CallPtr& stop : std::exchange(stops_, {})) answer(*stop, out);
  needs_.end();
}

void Admin::end() {
  ending_ = true;
  for (const Follower& follower : std::exchange(followers_, {})) follower.call->respond_error(503, kEnding);
  for (const CallPtr& stop : std::exchange(stops_, {})) stop->respond_error(503, kEndingBeforeTasks);
}

}  // namespace berth::admin
