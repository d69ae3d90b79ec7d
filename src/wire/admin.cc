#include "wire/admin.h"

#include <fmt/format.h>

#include "base/json.h"

namespace berth::wire {

AdminCall::~AdminCall() {
  if (reply_.pending()) respond_error(500, "The request was given up before it was answered.");
}

void AdminCall::respond(int status, std::string answer, std::string_view content_type) {
  reply_.send(std::make_unique<TextAnswer>(status, content_type, std::move(answer)));
}

void AdminCall::respond_error(int status, std::string_view message) {
  std::string answer;
  json::Writer(answer).begin_object().member("message", message).end_object();
  respond(status, std::move(answer));
}

void AdminEndpoint::on(std::string_view method, std::string_view path, AdminHandler handler) {
  const bool prefix = path.ends_with("/*");
  if (prefix) path.remove_suffix(1);
  routes_.push_back({std::string(method), std::string(path), prefix, std::move(handler)});
}

const AdminHandler* AdminEndpoint::find(std::string_view method, std::string_view path, bool& path_known) const {
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    if (route.prefix ? !path.starts_with(route.path) : path != route.path) continue;
    path_known = true;
    if (route.method == method && (!best || route.path.size() > best->path.size())) best = &route;
  }
  return best ? &best->handler : nullptr;
}

void AdminEndpoint::handle(const HttpRequest& request, Reply reply) {
  bool path_known = false;
  const AdminHandler* handler = find(request.method, request.path, path_known);
  auto call = std::make_unique<AdminCall>(request, std::move(reply));
  if (handler) return (*handler)(std::move(call));
  if (path_known) return call->respond_error(405, fmt::format("{} does not take {}", request.path, request.method));
  call->respond_error(404, fmt::format("there is no {}", request.path));
}

}  // namespace berth::wire
