// Whether a registry answers at all, before skopeo is let wait for it.
#pragma once

#include <string>

#include "agent/images/image_name.h"
#include "base/result.h"

namespace berth::images {

// Resolves, connects to and speaks to the image's registry, or to the proxy that this process's environment names for
// it. The error tells which step failed: "lookup registry.example: …", "dial tcp 192.0.2.1:443: i/o timeout".
Result<void> check_registry_answers(const ImageName& name, int timeout_ms);

// As for Docker, registries on this machine's loopback may speak plain HTTP.
bool on_loopback(const ImageName& name);

// As ECS words it (spec: "task lifecycle", stopped reasons).
std::string cannot_pull(const ImageName& name, int retries, const std::string& cause);

}  // namespace berth::images
