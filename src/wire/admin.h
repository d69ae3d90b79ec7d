// The admin API behind a socket that only its owner may open: a method and a path, JSON both ways, no signatures.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "wire/http.h"

namespace berth::wire {

// Like Call: owned by its handler, answered once from any thread; destroyed unanswered it says so with 500.
class AdminCall {
 public:
  AdminCall(const HttpRequest& request, Reply reply)
      : method(request.method),
        path(request.path),
        query(request.query),
        body(request.body),
        reply_(std::move(reply)) {}
  AdminCall(const AdminCall&) = delete;
  AdminCall& operator=(const AdminCall&) = delete;
  ~AdminCall();

  const std::string method, path, query, body;

  void respond(int status, std::string answer, std::string_view content_type = "application/json");
  // {"message": …}
  void respond_error(int status, std::string_view message);

 private:
  Reply reply_;
};

using AdminHandler = std::function<void(std::unique_ptr<AdminCall>)>;

class AdminEndpoint final : public HttpHandler {
 public:
  // "/tasks" is that path; "/images/*" is every path that begins with "/images/". The longest match counts. Before the
  // server runs.
  void on(std::string_view method, std::string_view path, AdminHandler handler);

  void handle(const HttpRequest& request, Reply reply) override;

 private:
  const AdminHandler* find(std::string_view method, std::string_view path, bool& path_known) const;
  struct Route {
    std::string method, path;
    bool prefix;
    AdminHandler handler;
  };
  std::vector<Route> routes_;
};

}  // namespace berth::wire
