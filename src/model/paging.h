// Opaque nextTokens: a cursor of the service's own, bound to the operation, the account and region, and every other
// parameter of the request (but not the page size, which a client may change between pages). They hold nothing in
// memory, survive a restart, and a changed or foreign one is refused. Any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/caller.h"
#include "model/descriptor.h"

namespace berth::model {

class PageTokens {
 public:
  // The key is secret and must stay the same over restarts; 32 random bytes do.
  explicit PageTokens(std::string key) : key_(std::move(key)) {}

  template <class T>
  std::string seal(const Operation& operation, const Caller& caller, const T& input, std::string_view cursor) const {
    return seal_raw(operation, caller, &input, cursor);
  }
  // The cursor; nothing where the token is not one that seal() made for the same question.
  template <class T>
  std::optional<std::string> open(const Operation& operation, const Caller& caller, const T& input,
                                  std::string_view token) const {
    return open_raw(operation, caller, &input, token);
  }

  std::string seal_raw(const Operation& operation, const Caller& caller, const void* input,
                       std::string_view cursor) const;
  std::optional<std::string> open_raw(const Operation& operation, const Caller& caller, const void* input,
                                      std::string_view token) const;

 private:
  std::string key_;
};

}  // namespace berth::model
