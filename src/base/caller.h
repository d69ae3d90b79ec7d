// Who calls: what a verified signature tells of a request. With --auth off: the root identity of the default account.
#pragma once

#include <map>
#include <string>

namespace berth {

struct Caller {
  std::string account;        // twelve digits
  std::string region;         // from the credential scope; picks which region's objects the call sees
  std::string arn;            // arn:aws:iam::<account>:root for the root keys
  std::string access_key_id;  // never the secret

  // For IAM: empty for the root.
  std::string principal = {};                    // whose policies count: a user's ARN, or the role's of a session
  std::string session = {};                      // the name of a role's session
  std::map<std::string, std::string> tags = {};  // aws:PrincipalTag
  std::string source_address = {};               // aws:SourceIp; empty where the request came by a unix socket

  bool is_root() const { return principal.empty() && arn.ends_with(":root"); }

  bool operator==(const Caller&) const = default;
};

}  // namespace berth
