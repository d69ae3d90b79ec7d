// The root keys: made at the first start, kept in DIR/credentials in the AWS shared-credentials format, mode 0600. The
// secret leaves this module only to the signature check; it is never logged and never an argument.
#pragma once

#include <string>

#include "base/random.h"
#include "base/result.h"

namespace berth::daemon {

struct RootKeys {
  std::string access_key_id;
  std::string secret_access_key;
};

// Reads the file, or makes it. A file that others may read, or without both members, is an error with the remedy.
Result<RootKeys> root_keys(const std::string& state_directory, Random& random);

}  // namespace berth::daemon
