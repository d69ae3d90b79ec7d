#include "base/result.h"

#include <cstring>

namespace berth {

Error Error::system(int errno_value, std::string what) {
  char buffer[128];
  what += ": ";
  what += strerror_r(errno_value, buffer, sizeof buffer);
  return Error{errno_value, std::move(what)};
}

}  // namespace berth
