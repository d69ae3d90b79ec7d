#include "agent/network/file_watch.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <filesystem>

#include "base/log.h"
#include "base/result.h"

namespace berth::network {

FileWatch::FileWatch(const std::vector<std::string>& paths, std::function<void()> changed)
    : changed_(std::move(changed)),
      inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  if (!inotify_ || !stop_) {
    log_warning("cannot watch for new name servers: {}", Error::system(errno, "inotify").context);
    return;
  }
  // The directories, because such files are replaced by rename; and where a link leads, because its target changes too.
  for (const std::string& path : paths) {
    std::error_code error;
    const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
    for (const std::filesystem::path& one :
         {std::filesystem::path(path), error ? std::filesystem::path(path) : target}) {
      if (::inotify_add_watch(inotify_.get(), one.parent_path().c_str(),
                              IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_DELETE) >= 0) {
        names_.insert(one.filename());
      }
    }
  }
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
        ours |= event->len > 0 && names_.contains(event->name);
        at += static_cast<ssize_t>(sizeof *event + event->len);
      }
    }
    if (ours) changed_();
  }
}

}  // namespace berth::network
