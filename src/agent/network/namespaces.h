// Network namespaces as files: made, entered, found again and dropped. Root only.
//
// Thread: a namespace is a property of the calling thread; whoever enters one goes back before it does anything else.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"

namespace berth::network {

Result<Fd> current_namespace();
Result<void> enter_namespace(const Fd& namespace_fd);

// True where a namespace is bound at `path`; a plain file there is what an interrupted create_namespace() left.
bool is_namespace(const std::string& path);
Result<Fd> open_namespace(const std::string& path);

// Makes an empty namespace, binds it to `path`, and leaves the calling thread inside it.
Result<Fd> create_namespace(const std::string& path);

// Unbinds and removes the file; the namespace dies with its last process, its links with it. An absent one is no error.
Result<void> drop_namespace(const std::string& path);

// `name` as in sysctl(8), with slashes: "net/ipv4/ip_forward", of the calling thread's namespace.
Result<void> write_sysctl(std::string_view name, std::string_view value);
Result<std::string> read_sysctl(std::string_view name);

// Goes back to the namespace that was current at construction.
class NamespaceGuard {
 public:
  explicit NamespaceGuard(const Fd& home) : home_(home) {}
  ~NamespaceGuard();
  NamespaceGuard(const NamespaceGuard&) = delete;
  NamespaceGuard& operator=(const NamespaceGuard&) = delete;

 private:
  const Fd& home_;
};

}  // namespace berth::network
