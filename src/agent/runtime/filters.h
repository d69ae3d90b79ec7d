// The system call filter of seccomp.h in the kernel's own form. Compiling takes libseccomp some 10 ms; an OCI runtime that
// is given the profile alone does it at every start. Here it is done once for each set of capabilities, by berth-seccomp.
//
// One thread. Memory is some 15 kB a set, of which kSetsMax are kept.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace berth::runtime {

class Filters {
 public:
  // The path of berth-seccomp.
  explicit Filters(std::string program);
  // In base64. Empty where it cannot be had, which is logged: the runtime then compiles the profile itself. Blocks while
  // berth-seccomp runs, once for each set.
  const std::string& of(const std::vector<std::string>& capabilities);

 private:
  static constexpr size_t kSetsMax = 64;
  const std::string program_;
  std::map<std::vector<std::string>, std::string> compiled_;
};

}  // namespace berth::runtime
