// Who a container runs as: "name", "uid", "name:group", "uid:gid" against the image's own /etc/passwd and /etc/group. Pure.
#pragma once

#include <string_view>

#include "agent/runtime/container_spec.h"
#include "base/result.h"

namespace berth::runtime {

// As Docker: empty is root; a uid need not be in the file and then has group 0; a name must be. Groups that list the
// user's name are added unless a group is given; the user's own group always is.
Result<ProcessUser> resolve_user(std::string_view user, std::string_view passwd, std::string_view group);

}  // namespace berth::runtime
