#include "agent/images/pulls.h"

#include <fmt/core.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/images/program.h"
#include "base/fd.h"
#include "base/limits.h"

namespace berth::images {

struct Pulls::Pull {
  ImageName name;
  std::string registry;
  Fd cancelled;  // readable once nobody waits any more
  std::map<Id, Done> wants;

  void cancel() const {
    const uint64_t one = 1;
    (void)!::write(cancelled.get(), &one, sizeof one);
  }
};

Pulls::~Pulls() {
  end();
  while (true) {
    std::thread thread;
    {
      const std::lock_guard lock(mutex_);
      if (!threads_.empty()) {
        thread = std::move(threads_.extract(threads_.begin()).mapped());
      } else if (!ended_.empty()) {
        thread = std::move(ended_.back());
        ended_.pop_back();
      } else {
        return;
      }
    }
    thread.join();
  }
}

Pulls::Id Pulls::ask(const ImageName& name, Done done) {
  std::unique_lock lock(mutex_);
  const Id id = ++last_;
  Result<ImageSummary> refused = fail(kEnding);
  PullPtr& pull = by_image_[name.canonical()];
  if (!pull) {
    const RegistryAddress address = registry_address(name);
    pull = std::make_shared<Pull>(
        Pull{name, fmt::format("{}:{}", address.host, address.port), Fd(::eventfd(0, EFD_CLOEXEC)), {}});
    if (!pull->cancelled) refused = fail(errno, "eventfd");
    const bool too_many = waiting_.size() >= limits::kPullsWaitingMax;
    if (too_many) refused = fail(fmt::format("{} images wait to be pulled already", limits::kPullsWaitingMax));
    if (ending_ || too_many || !pull->cancelled) {
      by_image_.erase(name.canonical());
      lock.unlock();
      done(refused);
      return id;
    }
    if (may_begin(*pull))
      begin(pull);
    else
      waiting_.push_back(pull);
  }
  pull->wants.emplace(id, std::move(done));
  by_want_.emplace(id, pull);
  return id;
}

bool Pulls::may_begin(const Pull& pull) const {
  const auto beside = running_.find(pull.registry);
  return threads_.size() < limits::kPullsMax &&
         (beside == running_.end() || beside->second < limits::kPullsPerRegistryMax);
}

void Pulls::begin(PullPtr pull) {
  ++running_[pull->registry];
  std::thread& thread = threads_[pull.get()];
  thread = std::thread([this, pull] { run(pull); });
  pthread_setname_np(thread.native_handle(), "pull");
}

void Pulls::begin_what_may() {
  for (auto at = waiting_.begin(); at != waiting_.end() && threads_.size() < limits::kPullsMax;) {
    if (!may_begin(**at)) {
      ++at;
      continue;
    }
    begin(std::move(*at));
    at = waiting_.erase(at);
  }
}

void Pulls::run(const PullPtr& pull) {
  const Result<ImageSummary> result = fetch_(pull->name, pull->cancelled.get());
  std::map<Id, Done> wants;
  {
    const std::lock_guard lock(mutex_);
    if (--running_[pull->registry] == 0) running_.erase(pull->registry);
    wants.swap(pull->wants);
    for (const auto& [id, done] : wants) by_want_.erase(id);
    // One that was cancelled has left its place, perhaps to another that was asked for since.
    const auto mine = by_image_.find(pull->name.canonical());
    if (mine != by_image_.end() && mine->second == pull) by_image_.erase(mine);
  }
  for (const auto& [id, done] : wants) done(result);
  std::vector<std::thread> before;
  {
    const std::lock_guard lock(mutex_);
    before.swap(ended_);
    if (auto own = threads_.extract(pull.get())) ended_.push_back(std::move(own.mapped()));
    if (!ending_) begin_what_may();
  }
  for (std::thread& thread : before) thread.join();
}

void Pulls::cancel(Id id) {
  Done done;
  {
    const std::lock_guard lock(mutex_);
    const auto want = by_want_.find(id);
    if (want == by_want_.end()) return;
    const PullPtr pull = want->second;
    by_want_.erase(want);
    done = std::move(pull->wants.extract(id).mapped());
    if (pull->wants.empty()) {
      by_image_.erase(pull->name.canonical());
      std::erase(waiting_, pull);
      pull->cancel();
    }
  }
  done(fail(kNotWanted));
}

void Pulls::end() {
  std::map<Id, Done> wants;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const auto& [name, pull] : std::exchange(by_image_, {})) {
      wants.merge(pull->wants);
      pull->cancel();
    }
    by_want_.clear();
    waiting_.clear();
  }
  for (const auto& [id, done] : wants) done(fail(kEnding));
}

}  // namespace berth::images
