// A piece of work that is handed from one thread to another: callable once, move-only (std::function would have to copy
// what it carries; std::move_only_function needs C++23).
#pragma once

#include <memory>
#include <utility>

namespace berth {

class Job {
 public:
  Job() = default;
  template <class F>
  Job(F function) : body_(std::make_unique<Body<F>>(std::move(function))) {}  // NOLINT: any callable is a job

  explicit operator bool() const { return body_ != nullptr; }
  void operator()() { std::exchange(body_, nullptr)->run(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void run() = 0;
  };
  template <class F>
  struct Body final : Base {
    explicit Body(F f) : function(std::move(f)) {}
    void run() override { function(); }
    F function;
  };
  std::unique_ptr<Base> body_;
};

}  // namespace berth
