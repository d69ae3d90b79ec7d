// Two of the three kinds of failure (the third, a broken invariant, is BERTH_ASSERT in assert.h):
//   ApiResult<T>  a wrong request: the error type and text that AWS gives, sent to the caller as it stands.
//   Result<T>     a failing world: a system call, a program, a disk; errno where there is one, and what we were doing.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

namespace berth {

struct Error {
  int errno_value = 0;  // 0 where the failure has none
  std::string context;  // "open /run/x: No such file or directory": complete as it is, fit for a log line

  // Appends strerror(errno_value) to `what`.
  static Error system(int errno_value, std::string what);
  static Error message(std::string what) { return Error{0, std::move(what)}; }
  bool operator==(const Error&) const = default;
};

struct ApiError {
  std::string type;     // the bare shape name, "InvalidParameterException"
  std::string message;  // may be empty: AWS sends empty ones too
  int status = 400;     // clients retry 5xx, so only our own failures carry 500
  // Members beside the message that a modelled exception has, such as ConflictException's resourceIds.
  std::vector<std::pair<std::string, std::vector<std::string>>> list_members = {};

  bool operator==(const ApiError&) const = default;
};

template <class T>
using Result = tl::expected<T, Error>;
template <class T>
using ApiResult = tl::expected<T, ApiError>;

inline tl::unexpected<Error> fail(int errno_value, std::string what) {
  return tl::unexpected<Error>(Error::system(errno_value, std::move(what)));
}
inline tl::unexpected<Error> fail(std::string what) { return tl::unexpected<Error>(Error::message(std::move(what))); }
inline tl::unexpected<ApiError> refuse(std::string type, std::string message) {
  return tl::unexpected<ApiError>(ApiError{std::move(type), std::move(message)});
}

}  // namespace berth
