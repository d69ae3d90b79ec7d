// Who a container runs as: "name", "uid", "name:group", "uid:gid" against the image's own /etc/passwd and /etc/group.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "agent/runtime/container_spec.h"
#include "base/result.h"

namespace berth::runtime {

// As Docker: empty is root; a uid need not be in the file and then has group 0; a name must be. Groups that list the
// user's name are added unless a group is given; the user's own group always is.
Result<ProcessUser> resolve_user(std::string_view user, std::string_view passwd, std::string_view group);

// The file's text as the stacked layers show it (topmost first), empty where there is none. Links are followed as a process in
// the container would follow them: from layer to layer (Nix makes such images), and never out of them. Layers must not change
// meanwhile. Blocking reads of small files; at most 1 MiB.
std::string read_from_layers(const std::vector<std::string>& layers, const std::string& relative_path);

}  // namespace berth::runtime
