// Who calls: what a verified signature tells of a request. With --auth off: the root identity of the default account.
#pragma once

#include <string>

namespace berth {

struct Caller {
  std::string account;        // twelve digits
  std::string region;         // from the credential scope; picks which region's objects the call sees
  std::string arn;            // arn:aws:iam::<account>:root for the root keys
  std::string access_key_id;  // never the secret

  bool operator==(const Caller&) const = default;
};

}  // namespace berth
