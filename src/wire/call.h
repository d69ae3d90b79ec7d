// One authenticated, validated request on its way through the daemon, and the table from operation to handler.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/assert.h"
#include "base/caller.h"
#include "base/clock.h"
#include "base/result.h"
#include "model/descriptor.h"
#include "wire/http.h"

namespace berth::wire {

// Owned by its handler; may move between threads. respond() once; destroyed without it answers ServerException (500),
// so that no client waits for a call that was lost.
class Call {
 public:
  Call(const model::Operation& called, model::Protocol spoken, Caller by, std::string id, TimeMs now,
       std::shared_ptr<const void> input, Reply reply)
      : operation(called),
        protocol(spoken),
        caller(std::move(by)),
        request_id(std::move(id)),
        now_ms(now),
        input_(std::move(input)),
        reply_(std::move(reply)) {}
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  const model::Operation& operation;
  const model::Protocol protocol;  // of the request, and so of its answer
  const Caller caller;
  const std::string request_id;
  const TimeMs now_ms;  // when it arrived

  template <class T>
  const T& input() const {
    BERTH_ASSERT(&T::kShape == operation.input);
    return *static_cast<const T*>(input_.get());
  }
  const void* raw_input() const { return input_.get(); }

  // The output is rendered on the I/O thread and must not change any more.
  template <class T>
  void respond(std::shared_ptr<const T> output) {
    BERTH_ASSERT(&T::kShape == operation.output);
    respond_raw(std::move(output));
  }
  template <class T>
  void respond(std::shared_ptr<T> output) {
    respond(std::shared_ptr<const T>(std::move(output)));
  }
  void respond(ApiError error);
  void respond_empty() { respond_raw(nullptr); }  // operations without output
  void respond_raw(std::shared_ptr<const void> output);

 private:
  std::shared_ptr<const void> input_;
  Reply reply_;
};

using Handler = std::function<void(std::unique_ptr<Call>)>;

// Filled before the server runs, then only read.
class Dispatcher {
 public:
  void serve(const model::Operation& operation, Handler handler);
  // Called on the I/O thread after all calls of one round were handed over.
  void on_batch_end(std::function<void()> callback) { batch_end_ = std::move(callback); }

  const Handler* find(const model::Operation& operation) const;
  void batch_end() const {
    if (batch_end_) batch_end_();
  }

 private:
  std::unordered_map<const model::Operation*, Handler> handlers_;
  std::function<void()> batch_end_;
};

}  // namespace berth::wire
