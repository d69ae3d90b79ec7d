// ContainerSpec → the text of an OCI bundle's config.json. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/runtime/container_spec.h"
#include "base/result.h"

namespace berth::runtime {

// Fails where the container has no command, or names a capability or limit that does not exist: the text is fit for a
// stopped task's reason.
Result<std::string> oci_config(const ContainerSpec& spec);

// The hard limit that its definition asks for, or the default; the most there is where it asks for no limit.
int64_t open_files_wanted(const ContainerSpec& spec);

// Docker's default set with `add` and `drop` applied, as "CAP_…" in the kernel's order.
Result<std::vector<std::string>> capabilities_of(const std::vector<std::string>& add,
                                                 const std::vector<std::string>& drop);

// An image's STOPSIGNAL: "SIGTERM", "TERM", "15", "SIGRTMIN+3". SIGTERM where it says nothing, or nothing that is a signal, as Docker.
int stop_signal_number(const std::string& text);

}  // namespace berth::runtime
