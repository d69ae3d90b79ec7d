// Pulls that are under way: one for each image, on a thread of its own, for all who want that image. A registry that
// stalls keeps only its own pulls: each registry has its own bound (base/limits.h), and what is beyond it waits its
// turn.
//
// Thread: any. A `done` is called once, on the thread of the pull or on the one that calls cancel() or end(); it must
// only hand the answer on.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/images/image.h"
#include "agent/images/image_name.h"
#include "base/result.h"

namespace berth::images {

class Pulls {
 public:
  using Id = uint64_t;
  using Done = std::function<void(const Result<ImageSummary>&)>;
  // Fetches one image. Blocks until it is there or has failed, and returns soon once `cancel_fd` is readable.
  using Fetch = std::function<Result<ImageSummary>(const ImageName& name, int cancel_fd)>;

  explicit Pulls(Fetch fetch) : fetch_(std::move(fetch)) {}
  ~Pulls();  // as end(), and waits for the threads
  Pulls(const Pulls&) = delete;
  Pulls& operator=(const Pulls&) = delete;

  Id ask(const ImageName& name, Done done);
  // Calls that one's `done` with an error, unless it was called before. A pull that nobody else waits for is cancelled.
  void cancel(Id id);
  // Cancels every pull and answers whoever waits; what is asked from now on fails.
  void end();

 private:
  struct Pull;
  using PullPtr = std::shared_ptr<Pull>;
  // With the lock held.
  bool may_begin(const Pull& pull) const;
  void begin(PullPtr pull);
  void begin_what_may();

  void run(const PullPtr& pull);

  const Fetch fetch_;
  std::mutex mutex_;  // of all below
  Id last_ = 0;
  bool ending_ = false;
  std::map<std::string, PullPtr> by_image_;  // waiting or running, and not cancelled
  std::map<Id, PullPtr> by_want_;
  std::deque<PullPtr> waiting_;
  std::map<std::string, size_t> running_;  // by registry; a cancelled one counts until its thread has ended
  std::map<const Pull*, std::thread> threads_;
  std::vector<std::thread> ended_;  // to be joined by the next thread that ends
};

}  // namespace berth::images
