// The few symbols that header-only parts of the C++ library ask for. Without memory, or with an index that cannot be, a
// supervisor ends: its task's cgroup is then killed by the daemon, and the task stops with a reason.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <new>

namespace {
[[noreturn]] void end(const char* why) {
  (void)!write(STDERR_FILENO, why, strlen(why));
  (void)!write(STDERR_FILENO, "\n", 1);
  abort();
}
void* must_allocate(size_t size) {
  void* memory = malloc(size == 0 ? 1 : size);
  if (memory == nullptr) end("berth-supervisor: out of memory");
  return memory;
}
}  // namespace

void* operator new(size_t size) { return must_allocate(size); }
void* operator new[](size_t size) { return must_allocate(size); }
void operator delete(void* memory) noexcept { free(memory); }
void operator delete[](void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }
void operator delete[](void* memory, size_t) noexcept { free(memory); }

// NOLINTBEGIN(bugprone-reserved-identifier): the names that the compiler and libstdc++'s headers call
namespace std {
void __throw_length_error(const char* what) { end(what); }
void __throw_logic_error(const char* what) { end(what); }
void __throw_out_of_range(const char* what) { end(what); }
void __throw_out_of_range_fmt(const char* what, ...) { end(what); }
void __throw_bad_alloc() { end("berth-supervisor: out of memory"); }
void __throw_bad_array_new_length() { end("berth-supervisor: an array of impossible length"); }
void __throw_bad_optional_access() { end("berth-supervisor: an empty optional was read"); }
}  // namespace std

// Destructors of objects with static storage are not run: the process ends by _exit.
extern "C" {
void* __dso_handle = nullptr;
int __cxa_atexit(void (*)(void*), void*, void*) { return 0; }
void __cxa_pure_virtual() { end("berth-supervisor: a pure virtual function was called"); }
}
// NOLINTEND(bugprone-reserved-identifier)
