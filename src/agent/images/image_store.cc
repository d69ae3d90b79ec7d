#include "agent/images/image_store.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <shared_mutex>

#include "agent/images/layers.h"
#include "agent/images/layout.h"
#include "agent/images/oci.h"
#include "agent/images/program.h"
#include "agent/images/pulls.h"
#include "agent/images/registry.h"
#include "agent/images/retries.h"
#include "agent/images/skopeo.h"
#include "agent/images/unpacker.h"
#include "base/fd.h"
#include "base/log.h"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kDockerArchive = "docker-archive:";

int64_t ms_since(Clock::time_point start) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
}

// One call for all who ask for the same thing at the same time.
template <class T>
class Together {
 public:
  template <class Work>
  Result<T> run(const std::string& key, Work&& work) {
    std::promise<Result<T>> promise;
    {
      std::unique_lock lock(mutex_);
      if (const auto found = running_.find(key); found != running_.end()) {
        const std::shared_future<Result<T>> answer = found->second;
        lock.unlock();
        return answer.get();
      }
      running_[key] = promise.get_future().share();
    }
    Result<T> result = work();
    promise.set_value(result);
    const std::lock_guard lock(mutex_);
    running_.erase(key);
    return result;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_future<Result<T>>> running_;
};

}  // namespace

class ImageStore::Impl {
 public:
  explicit Impl(ImageStoreOptions options)
      : options_(std::move(options)),
        layout_(options_.state_directory + "/images"),
        ended_(::eventfd(0, EFD_CLOEXEC)),
        unpacker_(layout_.layers_directory(), options_.unpack_program),
        pulls_([this](const ImageName& name, int cancel_fd) { return fetch_from_registry(name, cancel_fd); }) {}

  Result<void> start() {
    if (!ended_) return fail(errno, "eventfd");
    if (auto prepared = layout_.prepare(); !prepared) return prepared;
    auto index = layout_.read_index();
    if (!index) return tl::unexpected(index.error());
    auto images = std::make_shared<Images>();
    for (const Descriptor& manifest : *index) {
      const auto annotation = manifest.annotations.find(kRefName);
      const auto name =
          annotation == manifest.annotations.end() ? fail("it has no name") : parse_image_name(annotation->second);
      auto image = layout_.read_image(layout_.blob(manifest.digest),
                                      [&](const std::string& digest) { return layout_.blob(digest); });
      if (!name || !image) {
        // Kept in nobody's sight: one damaged image must not keep the others from being served.
        log_warning("image {} is left out: {}", manifest.digest, (name ? image.error() : name.error()).context);
        continue;
      }
      // Layers of an image that is named are there, unless somebody has taken them away.
      if (auto unpacked = unpack_layers(
              *image, [&](const std::string& digest) { return layout_.blob(digest); }, ended_.get());
          !unpacked) {
        log_warning("image {} is left out: {}", name->canonical(), unpacked.error().context);
        continue;
      }
      auto entered = entry(*name, manifest, std::move(*image));
      if (entered)
        (*images)[name->canonical()] = std::make_shared<Image>(std::move(*entered));
      else
        log_warning("image {} is left out: {}", name->canonical(), entered.error().context);
    }
    publish(std::move(images));
    return {};
  }

  Result<ImageSummary> load(const std::string& source, const std::string& name, int stdin_fd) {
    auto parsed = parse_image_name(name);
    if (!parsed) return tl::unexpected(parsed.error());
    if (!parsed->digest.empty()) return fail("an image is loaded under a tag, not under a digest: " + name);
    if (source.starts_with(kDockerArchive))
      return load_archive(source.substr(kDockerArchive.size()), *parsed, stdin_fd);
    if (!source.starts_with("oci:")) {
      return fail(fmt::format(
          "'{}' is no source of an image: it is oci:DIR[:TAG], docker-archive:FILE or docker-archive:-", source));
    }
    int ignored = 0;
    return ended_while_loading(fetch(source, *parsed, -1, nullptr, ended_.get(), &ignored));
  }

  PullId pull(const std::string& text, Pulls::Done done) {
    const auto name = parse_image_name(text);
    if (name) return pulls_.ask(*name, std::move(done));
    done(fail("CannotPullContainerError: " + name.error().context));
    return 0;
  }
  void cancel(PullId id) { pulls_.cancel(id); }

  std::optional<ResolvedImage> resolve(const std::string& text) const {
    const auto name = parse_image_name(text);
    if (!name) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const auto image = find(*images_, *name);
    if (!image) return std::nullopt;
    auto lease = image->lease.lock();
    if (!lease) {
      image->lease = lease = std::make_shared<const std::vector<std::string>>(image->layers);
      std::erase_if(leases_, [](const auto& other) { return other.expired(); });
      leases_.push_back(lease);
    }
    return ResolvedImage{name->canonical(), image->manifest.digest, image->config,
                         image->layers,     image->volumes_missing, lease};
  }

  std::vector<ImageSummary> list() const {
    std::vector<ImageSummary> out;
    const auto images = snapshot();
    for (const auto& [name, image] : *images) out.push_back(summary(name, *image));
    return out;
  }

  Result<void> remove(const std::string& text) {
    auto name = parse_image_name(text);
    if (!name) return tl::unexpected(name.error());
    {
      const std::lock_guard writing(writing_);
      auto images = std::make_shared<Images>(*snapshot());
      const auto image = find(*images, *name);
      if (!image) return fail("there is no image " + name->canonical());
      images->erase(image->name.canonical());
      if (auto written = write_index(*images); !written) return written;
      publish(std::move(images));
    }
    return collect_garbage();
  }

  Result<void> collect_garbage() {
    // What is being taken in is in no index yet; the next collection will find what stays unreferenced.
    std::unique_lock alone(taking_in_, std::try_to_lock);
    if (!alone) return {};
    std::set<std::string> blobs, layers;
    std::vector<std::shared_ptr<const std::vector<std::string>>> leases;
    std::shared_ptr<const Images> images;
    {
      const std::lock_guard lock(mutex_);
      images = images_;
      std::erase_if(leases_, [](const auto& lease) { return lease.expired(); });
      for (const auto& weak : leases_) {
        if (auto lease = weak.lock()) leases.push_back(std::move(lease));
      }
    }
    for (const auto& [name, image] : *images) {
      blobs.insert(image->blobs.begin(), image->blobs.end());
      layers.insert(image->layers.begin(), image->layers.end());
    }
    for (const auto& lease : leases) layers.insert(lease->begin(), lease->end());
    // After the leases: a task that gives its lease back has named its layers in its directory before.
    layers.merge(options_.layers_in_use());
    const std::vector<std::string> gone = layout_.set_aside_layers_except(layers);
    layout_.remove_blobs_except(blobs);
    alone.unlock();
    // Slow, and no longer in anybody's way.
    for (const std::string& directory : gone) {
      std::error_code error;
      fs::remove_all(directory, error);
      if (error) log_warning("cannot remove {}: {}", directory, error.message());
    }
    return {};
  }

  void end() {
    const uint64_t one = 1;
    (void)!::write(ended_.get(), &one, sizeof one);  // nobody reads it: it stays readable
    pulls_.end();
  }

 private:
  struct Image {
    ImageName name;
    Descriptor manifest;
    ImageConfig config;
    std::vector<std::string> layers;  // top to bottom
    std::vector<std::string> volumes_missing;
    std::vector<std::string> blobs;  // digests, its manifest's among them
    int64_t size_bytes = 0;
    mutable std::weak_ptr<const std::vector<std::string>> lease;  // guarded by mutex_
  };
  using Images =
      std::map<std::string, std::shared_ptr<const Image>>;  // by canonical name; never changed once published

  std::shared_ptr<const Images> snapshot() const {
    const std::lock_guard lock(mutex_);
    return images_;
  }
  void publish(std::shared_ptr<const Images> images) {
    const std::lock_guard lock(mutex_);
    images_.swap(images);  // the old one is destroyed after the lock is released
  }

  Result<ImageSummary> fetch_from_registry(const ImageName& name, int cancel_fd) {
    Retries asks(options_.connect_timeout_ms);
    const auto start = Clock::now();
    while (true) {
      const int left_ms = options_.connect_timeout_ms - static_cast<int>(ms_since(start));
      auto answers = check_registry_answers(name, std::max(left_ms, 0));
      if (answers) break;
      const std::string& cause = answers.error().context;
      if (!wait_to_retry(asks, start, cause, cancel_fd))
        return fail(cannot_pull(name, asks.count(), "failed to do request: " + cause));
    }
    Retries copies(options_.retry_window_ms);
    int asked_again = 0;
    auto fetched = fetch("docker://" + name.pull_reference(), name, -1, &copies, cancel_fd, &asked_again);
    if (!fetched) {
      const int retries = asks.count() + copies.count() + asked_again;
      return fail(cannot_pull(name, retries, fetched.error().context));
    }
    return fetched;
  }

  Result<Image> entry(const ImageName& name, const Descriptor& manifest, StoredImage stored) const {
    Image image{name, manifest, std::move(stored.configuration.config)};
    // A layer that stands there twice (builders' empty ones do) says nothing new below its topmost place, and
    // overlayfs refuses a directory that it is given twice.
    for (auto id = stored.configuration.diff_ids.rbegin(); id != stored.configuration.diff_ids.rend(); ++id) {
      std::string directory = unpacker_.directory(*id);
      if (std::find(image.layers.begin(), image.layers.end(), directory) == image.layers.end())
        image.layers.push_back(std::move(directory));
    }
    if (auto stacked = stack_attributes(manifest, image.layers); !stacked) return tl::unexpected(stacked.error());
    if (image.layers.empty()) {
      auto nothing = layout_.empty_layer();  // overlayfs wants one
      if (!nothing) return tl::unexpected(nothing.error());
      image.layers.push_back(std::move(*nothing));
    }
    for (const std::string& volume : image.config.volumes)
      if (layers_lack(image.layers, volume)) image.volumes_missing.push_back(volume);
    image.blobs = {manifest.digest, stored.manifest.config.digest};
    image.size_bytes = manifest.size + stored.manifest.config.size;
    for (const Descriptor& layer : stored.manifest.layers) {
      image.blobs.push_back(layer.digest);
      image.size_bytes += layer.size;
    }
    return image;
  }

  // What no layer alone can say. Without owners and modes of directories the image runs, without its files it does not.
  Result<void> stack_attributes(const Descriptor& manifest, std::vector<std::string>& layers) const {
    const std::string directory = layout_.layers_directory() + "/attributes-" + manifest.digest.substr(7);
    if (::access(directory.c_str(), F_OK) != 0) {
      auto covered = covered_attributes(layers);
      const auto links = links_to_lower_layers(layers);
      if (!links) return tl::unexpected(links.error());
      if (covered.empty() && links->sources.empty()) return {};
      if (auto written = write_attributes(directory, std::move(covered), *links); !written) {
        if (!links->sources.empty()) return written;
        log_warning("image {}: some directories have not their owners and modes: {}", manifest.digest,
                    written.error().context);
        return {};
      }
    }
    layers.insert(layers.begin(), directory);
    return {};
  }

  static ImageSummary summary(const std::string& name, const Image& image) {
    return {name, image.manifest.digest, image.size_bytes, image.layers.size()};
  }

  static std::shared_ptr<const Image> find(const Images& images, const ImageName& name) {
    if (name.digest.empty()) {
      const auto found = images.find(name.canonical());
      return found == images.end() ? nullptr : found->second;
    }
    for (const auto& [key, image] : images) {
      if (image->name.repository() == name.repository() && image->manifest.digest == name.digest) return image;
    }
    return nullptr;
  }

  // With writing_ held.
  Result<void> write_index(const Images& images) {
    std::vector<Descriptor> manifests;
    for (const auto& [name, image] : images) {
      Descriptor manifest = image->manifest;
      manifest.annotations = {{kRefName, name}};
      manifests.push_back(std::move(manifest));
    }
    return layout_.write_index(manifests);
  }

  static bool is_cancelled(const Error& error) { return error.errno_value == ECANCELED; }

  Result<void> unpack_layers(const StoredImage& image, const std::function<std::string(const std::string&)>& blob_path,
                             int cancel_fd) {
    for (size_t i = 0; i < image.manifest.layers.size(); ++i) {
      const std::string& diff_id = image.configuration.diff_ids[i];
      Result<bool> unpacked = true;
      do {
        unpacked = unpacks_.run(diff_id, [&]() -> Result<bool> {
          auto done = unpacker_.unpack(diff_id, blob_path(image.manifest.layers[i].digest), cancel_fd);
          if (!done) return tl::unexpected(done.error());
          return true;
        });
        // Another image has this layer, too, and its pull, which we had joined, was cancelled.
      } while (!unpacked && is_cancelled(unpacked.error()) && !ends_within(0, cancel_fd));
      if (!unpacked && is_cancelled(unpacked.error())) return tl::unexpected(unpacked.error());
      if (!unpacked) return fail("unpack layer " + diff_id + ": " + unpacked.error().context);
    }
    return {};
  }

  // `where` is FILE[:NAME] or -[:NAME].
  Result<ImageSummary> load_archive(const std::string& where, const ImageName& name, int stdin_fd) {
    const size_t colon = std::min(where.find(':'), where.size());
    std::string file = where.substr(0, colon);
    std::string pipe;  // opened by who reads it: that may have to wait, and we do not
    Fd opened;
    std::error_code error;
    if (file == "-") {
      if (stdin_fd < 0) return fail("docker-archive:- has no input");
      file = "/dev/stdin";
    } else if (fs::is_fifo(file, error)) {
      pipe = file;
    } else {
      opened.reset(::open(file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
      stdin_fd = opened.get();
    }
    const Incoming spool = layout_.new_incoming();
    if (!pipe.empty() || (stdin_fd >= 0 && !is_plain_file(stdin_fd))) {
      if (::mkdir(spool.directory.c_str(), 0700) != 0) return fail(errno, "make directory " + spool.directory);
      file = spool.directory + "/archive";
      if (auto read = spool_archive(pipe, stdin_fd, file, patience(ended_.get())); !read)
        return ended_while_loading(tl::unexpected(read.error()));
    }
    int ignored = 0;
    auto loaded = ended_while_loading(fetch(std::string(kDockerArchive) + file + where.substr(colon), name, stdin_fd,
                                            nullptr, ended_.get(), &ignored));
    if (!loaded && loaded.error().context.find("expected 1 item, got") != std::string::npos)
      return fail("the archive has several images: name one of them, as in docker-archive:FILE:nginx:latest");
    return loaded;
  }

  static Result<ImageSummary> ended_while_loading(Result<ImageSummary> loaded) {
    if (!loaded && is_cancelled(loaded.error())) return fail(kEnding);
    return loaded;
  }

  // `retries` is null where the source is not a registry: the same archive will not read better a second time.
  Result<ImageSummary> fetch(const std::string& source, const ImageName& name, int stdin_fd, Retries* retries,
                             int cancel_fd, int* asked_again) {
    const Incoming incoming = layout_.new_incoming();
    std::optional<Clock::time_point> first_failure;
    while (true) {
      // A second try finds the layers that the first one brought.
      const auto copied = copy_image(source, name, stdin_fd, incoming.directory, patience(cancel_fd), asked_again);
      if (copied) break;
      if (!first_failure) first_failure = Clock::now();
      if (!retries || !wait_to_retry(*retries, *first_failure, copied.error().context, cancel_fd))
        return tl::unexpected(copied.error());
    }
    return take_in(incoming, name, cancel_fd);
  }

  static bool wait_to_retry(Retries& retries, Clock::time_point start, const std::string& cause, int cancel_fd) {
    if (!may_pass(cause)) return false;
    const auto wait_ms = retries.next_wait_ms(ms_since(start));
    // No event: that a registry is back is told by asking it.
    return wait_ms && !ends_within(*wait_ms, cancel_fd);
  }

  static bool ends_within(int ms, int cancel_fd) {
    pollfd wait{cancel_fd, POLLIN, 0};
    return ::poll(&wait, 1, ms) > 0;
  }

  Patience patience(int cancel_fd) const { return {options_.pull_timeout_ms, cancel_fd}; }

  Result<ImageSummary> take_in(const Incoming& incoming, const ImageName& name, int cancel_fd) {
    auto manifest = incoming.manifest();
    if (!manifest) return tl::unexpected(manifest.error());
    auto stored = layout_.read_image(incoming.blob(manifest->digest),
                                     [&](const std::string& digest) { return incoming.blob(digest); });
    if (!stored) return tl::unexpected(stored.error());
    // Until the image has a name, a collection would take its layers and blobs for nobody's.
    const std::shared_lock taking_in(taking_in_);
    auto unpacked = unpack_layers(
        *stored, [&](const std::string& digest) { return incoming.blob(digest); }, cancel_fd);
    if (!unpacked) return tl::unexpected(unpacked.error());
    if (auto moved = layout_.take(incoming); !moved) return tl::unexpected(moved.error());
    ImageName key = name;
    if (key.tag.empty()) key.digest = manifest->digest;
    const std::lock_guard writing(writing_);
    auto entered = entry(key, *manifest, std::move(*stored));
    if (!entered) return tl::unexpected(entered.error());
    const auto image = std::make_shared<const Image>(std::move(*entered));
    auto images = std::make_shared<Images>(*snapshot());
    (*images)[key.canonical()] = image;
    if (auto written = write_index(*images); !written) return tl::unexpected(written.error());
    publish(std::move(images));
    return summary(key.canonical(), *image);
  }

  const ImageStoreOptions options_;
  Layout layout_;
  const Fd ended_;  // readable from end() on
  Unpacker unpacker_;
  Together<bool> unpacks_;
  // Shared by those who bring blobs and layers that no image names yet; held alone by who removes what no image names.
  std::shared_mutex taking_in_;
  std::mutex writing_;        // held while the index is written and the next snapshot is made
  mutable std::mutex mutex_;  // of the two below, and never held over work on the disk
  std::shared_ptr<const Images> images_ = std::make_shared<Images>();
  mutable std::vector<std::weak_ptr<const std::vector<std::string>>> leases_;
  Pulls pulls_;  // last: it ends before what its threads touch
};

Result<std::unique_ptr<ImageStore>> ImageStore::open(ImageStoreOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  if (auto started = impl->start(); !started) return tl::unexpected(started.error());
  return std::unique_ptr<ImageStore>(new ImageStore(std::move(impl)));
}

ImageStore::ImageStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ImageStore::~ImageStore() = default;

Result<ImageSummary> ImageStore::load(const std::string& source, const std::string& name, int stdin_fd) {
  return impl_->load(source, name, stdin_fd);
}
ImageStore::PullId ImageStore::pull(const std::string& name, std::function<void(const Result<ImageSummary>&)> done) {
  return impl_->pull(name, std::move(done));
}
void ImageStore::cancel(PullId id) { impl_->cancel(id); }
std::optional<ResolvedImage> ImageStore::resolve(const std::string& name) const { return impl_->resolve(name); }
std::vector<ImageSummary> ImageStore::list() const { return impl_->list(); }
Result<void> ImageStore::remove(const std::string& name) { return impl_->remove(name); }
Result<void> ImageStore::collect_garbage() { return impl_->collect_garbage(); }
void ImageStore::end() { impl_->end(); }

std::string default_unpack_program() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path beside = self.parent_path() / "berth-unpack";
  if (!error && fs::exists(beside, error)) return beside;
  return "/usr/lib/berth/berth-unpack";
}

}  // namespace berth::images
