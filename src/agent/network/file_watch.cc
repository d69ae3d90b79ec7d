#include "agent/network/file_watch.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "base/log.h"
#include "base/result.h"

namespace berth::network {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kChanges = IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE;
constexpr int kMissingDirectoriesMax = 16;

}  // namespace

FileWatch::FileWatch(std::vector<std::string> paths, std::function<void()> changed)
    : paths_(std::move(paths)),
      changed_(std::move(changed)),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!inotify_ || !stop_) {
    log_warning("cannot watch for new name servers: {}", Error::system(errno, "inotify").context);
    return;
  }
  watch();
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { loop(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread_.native_handle(), "name-servers");
}

FileWatch::~FileWatch() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

// Repeated after every change, because the change may be a directory that was missing, or a link that was turned.
void FileWatch::watch() {
  for (const std::string& path : paths_) {
    watch_file(path);
    std::error_code error;
    const fs::path target = fs::weakly_canonical(path, error);
    if (!error && target != path) watch_file(target);
  }
}

// The directory, because such files are replaced by rename; where it is missing, the nearest one above it.
void FileWatch::watch_file(const fs::path& file) {
  for (int tries = 0; tries < kMissingDirectoriesMax; ++tries) {
    fs::path directory = file.parent_path(), name = file.filename();
    while (::inotify_add_watch(inotify_.get(), directory.c_str(), kChanges) < 0) {
      if (!directory.has_relative_path()) return;
      name = directory.filename();
      directory = directory.parent_path();
    }
    names_.insert(name);
    // What was missing may have been made before its parent was watched: then once more, deeper.
    std::error_code error;
    if (directory == file.parent_path() || !fs::exists(directory / name, error)) return;
  }
}

void FileWatch::loop() {
  alignas(inotify_event) char buffer[sizeof(inotify_event) + NAME_MAX + 1];
  while (true) {
    pollfd wait[] = {{inotify_.get(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (::poll(wait, 2, -1) < 0 && errno != EINTR) return;
    if (wait[1].revents != 0) return;
    bool ours = false;
    ssize_t size;
    while ((size = ::read(inotify_.get(), buffer, sizeof buffer)) > 0) {
      for (ssize_t at = 0; at < size;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        ours |= (event->mask & IN_IGNORED) != 0;  // the directory itself is gone
        ours |= event->len > 0 && names_.contains(event->name);
        at += static_cast<ssize_t>(sizeof *event + event->len);
      }
    }
    if (!ours) continue;
    watch();
    changed_();
  }
}

}  // namespace berth::network
