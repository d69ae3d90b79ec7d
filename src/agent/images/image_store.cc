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

#include "agent/images/layers.h"
#include "agent/images/layout.h"
#include "agent/images/oci.h"
#include "agent/images/program.h"
#include "agent/images/registry.h"
#include "agent/images/retries.h"
#include "agent/images/unpacker.h"
#include "base/fd.h"
#include "base/log.h"

namespace berth::images {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kDockerArchive = "docker-archive:";

// What skopeo reads as it is. From a pipe or through gzip, which `docker save` is often sent through, it reads the archive's first
// bytes to tell whether it is compressed, and then the rest for the whole.
bool is_plain_file(int fd) {
  struct stat info {};
  unsigned char magic[2] = {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) &&
         !(::pread(fd, magic, sizeof magic, 0) == 2 && magic[0] == 0x1f && magic[1] == 0x8b);
}

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
        unpacker_(layout_.layers_directory(), options_.unpack_program, ended_.get()) {}

  Result<void> start() {
    if (!ended_) return fail(errno, "eventfd");
    if (auto prepared = layout_.prepare(); !prepared) return prepared;
    auto index = layout_.read_index();
    if (!index) return tl::unexpected(index.error());
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
      if (auto unpacked = unpack_layers(*image, [&](const std::string& digest) { return layout_.blob(digest); });
          !unpacked) {
        log_warning("image {} is left out: {}", name->canonical(), unpacked.error().context);
        continue;
      }
      images_[name->canonical()] = entry(*name, manifest, std::move(*image));
    }
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
    return fetch(source, *parsed, -1, nullptr);
  }

  Result<ImageSummary> pull(const std::string& text) {
    auto name = parse_image_name(text);
    if (!name) return fail("CannotPullContainerError: " + name.error().context);
    return pulls_.run(name->canonical(), [&]() -> Result<ImageSummary> {
      if (ends_within(0)) return fail(cannot_pull(*name, 0, kCancelled));
      Retries asks(options_.connect_timeout_ms);
      const auto start = Clock::now();
      while (true) {
        const int left_ms = options_.connect_timeout_ms - static_cast<int>(ms_since(start));
        auto answers = check_registry_answers(*name, std::max(left_ms, 0));
        if (answers) break;
        const std::string& cause = answers.error().context;
        if (!wait_to_retry(asks, start, cause)) {
          return fail(cannot_pull(*name, asks.count(), "failed to do request: " + cause));
        }
      }
      Retries copies(options_.retry_window_ms);
      auto fetched = fetch("docker://" + name->pull_reference(), *name, -1, &copies);
      if (!fetched) return fail(cannot_pull(*name, asks.count() + copies.count(), fetched.error().context));
      return fetched;
    });
  }

  std::optional<ResolvedImage> resolve(const std::string& text) const {
    const auto name = parse_image_name(text);
    if (!name) return std::nullopt;
    const std::lock_guard lock(mutex_);
    const Image* image = find(*name);
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
    const std::lock_guard lock(mutex_);
    std::vector<ImageSummary> out;
    for (const auto& [name, image] : images_) out.push_back(summary(name, image));
    return out;
  }

  Result<void> remove(const std::string& text) {
    auto name = parse_image_name(text);
    if (!name) return tl::unexpected(name.error());
    {
      const std::lock_guard lock(mutex_);
      const Image* image = find(*name);
      if (!image) return fail("there is no image " + name->canonical());
      const std::string key = image->name.canonical();
      auto taken = images_.extract(key);
      if (auto written = write_index(); !written) {
        images_.insert(std::move(taken));
        return written;
      }
    }
    return collect_garbage();
  }

  Result<void> collect_garbage() {
    const std::set<std::string> used = options_.layers_in_use();
    std::set<std::string> blobs, layers = used;
    std::vector<std::string> gone;
    {
      const std::lock_guard lock(mutex_);
      // What is being fetched is in no index yet; the next collection will find what stays unreferenced.
      if (fetching_ > 0) return {};
      for (const auto& [name, image] : images_) {
        blobs.insert(image.blobs.begin(), image.blobs.end());
        layers.insert(image.layers.begin(), image.layers.end());
      }
      std::erase_if(leases_, [](const auto& lease) { return lease.expired(); });
      for (const auto& weak : leases_) {
        if (const auto lease = weak.lock()) layers.insert(lease->begin(), lease->end());
      }
      gone = layout_.set_aside_layers_except(layers);
      layout_.remove_blobs_except(blobs);
    }
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
    mutable std::weak_ptr<const std::vector<std::string>> lease;
  };

  Image entry(const ImageName& name, const Descriptor& manifest, StoredImage stored) const {
    Image image{name, manifest, std::move(stored.configuration.config)};
    // A layer that stands there twice (builders' empty ones do) says nothing new below its topmost place, and overlayfs refuses
    // a directory that it is given twice.
    for (auto id = stored.configuration.diff_ids.rbegin(); id != stored.configuration.diff_ids.rend(); ++id) {
      std::string directory = unpacker_.directory(*id);
      if (std::find(image.layers.begin(), image.layers.end(), directory) == image.layers.end())
        image.layers.push_back(std::move(directory));
    }
    stack_attributes(manifest, image.layers);
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

  // The image is the better for it, but runs without.
  void stack_attributes(const Descriptor& manifest, std::vector<std::string>& layers) const {
    const std::string directory = layout_.layers_directory() + "/attributes-" + manifest.digest.substr(7);
    if (::access(directory.c_str(), F_OK) != 0) {
      const auto covered = covered_attributes(layers);
      if (covered.empty()) return;
      if (auto written = write_attributes(directory, covered); !written) {
        log_warning("image {}: some directories have not their owners and modes: {}", manifest.digest,
                    written.error().context);
        return;
      }
    }
    layers.insert(layers.begin(), directory);
  }

  static ImageSummary summary(const std::string& name, const Image& image) {
    return {name, image.manifest.digest, image.size_bytes, image.layers.size()};
  }

  // With the lock held.
  const Image* find(const ImageName& name) const {
    if (name.digest.empty()) {
      const auto found = images_.find(name.canonical());
      return found == images_.end() ? nullptr : &found->second;
    }
    for (const auto& [key, image] : images_) {
      if (image.name.repository() == name.repository() && image.manifest.digest == name.digest) return &image;
    }
    return nullptr;
  }

  // With the lock held.
  Result<void> write_index() {
    std::vector<Descriptor> manifests;
    for (const auto& [name, image] : images_) {
      Descriptor manifest = image.manifest;
      manifest.annotations = {{kRefName, name}};
      manifests.push_back(std::move(manifest));
    }
    return layout_.write_index(manifests);
  }

  Result<void> unpack_layers(const StoredImage& image,
                             const std::function<std::string(const std::string&)>& blob_path) {
    for (size_t i = 0; i < image.manifest.layers.size(); ++i) {
      const std::string& diff_id = image.configuration.diff_ids[i];
      auto unpacked = unpacks_.run(diff_id, [&]() -> Result<bool> {
        auto done = unpacker_.unpack(diff_id, blob_path(image.manifest.layers[i].digest));
        if (!done) return tl::unexpected(done.error());
        return true;
      });
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
      const char* script = "[ -z \"$2\" ] || exec <\"$2\"; exec gzip -dcf >\"$1\"";
      const auto read = run_to_end({.argv = {"sh", "-c", script, "sh", file, pipe}, .stdin_fd = stdin_fd});
      if (!read) return tl::unexpected(read.error());
      if (read->status != 0) return fail("read the archive: " + read->errors);
    }
    auto loaded = fetch(std::string(kDockerArchive) + file + where.substr(colon), name, stdin_fd, nullptr);
    if (!loaded && loaded.error().context.find("expected 1 item, got") != std::string::npos)
      return fail("the archive has several images: name one of them, as in docker-archive:FILE:nginx:latest");
    return loaded;
  }

  // `retries` is null where the source is not a registry: the same archive will not read better a second time.
  Result<ImageSummary> fetch(const std::string& source, const ImageName& name, int stdin_fd, Retries* retries) {
    struct Count {
      Impl& impl;
      explicit Count(Impl& i) : impl(i) {
        const std::lock_guard lock(impl.mutex_);
        ++impl.fetching_;
      }
      ~Count() {
        const std::lock_guard lock(impl.mutex_);
        --impl.fetching_;
      }
    } count(*this);
    const Incoming incoming = layout_.new_incoming();
    std::optional<Clock::time_point> first_failure;
    while (true) {
      // A second try finds the layers that the first one brought.
      const auto copied = copy(source, name, stdin_fd, incoming.directory);
      if (copied) break;
      if (!first_failure) first_failure = Clock::now();
      if (!retries || !wait_to_retry(*retries, *first_failure, copied.error().context)) {
        return tl::unexpected(copied.error());
      }
    }
    return take_in(incoming, name);
  }

  bool wait_to_retry(Retries& retries, Clock::time_point start, const std::string& cause) const {
    if (!may_pass(cause)) return false;
    const auto wait_ms = retries.next_wait_ms(ms_since(start));
    // No event: that a registry is back is told by asking it.
    return wait_ms && !ends_within(*wait_ms);
  }

  bool ends_within(int ms) const {
    pollfd wait{ended_.get(), POLLIN, 0};
    return ::poll(&wait, 1, ms) > 0;
  }

  // Neither longer than a pull may take nor than this store lives.
  Result<ProgramOutcome> run_to_end(ProgramSpec program) const {
    program.timeout_ms = options_.pull_timeout_ms;
    program.cancel_fd = ended_.get();
    auto ran = run_program(program);
    if (ran && ran->cancelled) return fail(kCancelled);
    if (ran && ran->timed_out)
      return fail(fmt::format("copying the image took longer than {} s", options_.pull_timeout_ms / 1000));
    return ran;
  }

  Result<void> copy(const std::string& source, const ImageName& name, int stdin_fd,
                    const std::string& directory) const {
    // Layers stay as they are: compressing them again would cost more than all the rest.
    std::vector<std::string> argv = {"skopeo", "--insecure-policy", "copy", "--quiet",
                                     "--dest-oci-accept-uncompressed-layers"};
    if (source.starts_with("docker://") && on_loopback(name)) argv.push_back("--src-tls-verify=false");
    argv.push_back(source);
    argv.push_back("oci:" + directory + ":image");
    auto copied = run_to_end({.argv = std::move(argv), .stdin_fd = stdin_fd});
    if (!copied && copied.error().errno_value == ENOENT) {
      return fail("the program skopeo is not installed; install Debian's package skopeo");
    }
    if (!copied) return tl::unexpected(copied.error());
    if (copied->status != 0) return fail(skopeo_message(copied->errors));
    return {};
  }

  Result<ImageSummary> take_in(const Incoming& incoming, const ImageName& name) {
    auto manifest = incoming.manifest();
    if (!manifest) return tl::unexpected(manifest.error());
    auto stored = layout_.read_image(incoming.blob(manifest->digest),
                                     [&](const std::string& digest) { return incoming.blob(digest); });
    if (!stored) return tl::unexpected(stored.error());
    auto unpacked = unpack_layers(*stored, [&](const std::string& digest) { return incoming.blob(digest); });
    if (!unpacked) return tl::unexpected(unpacked.error());
    if (auto moved = layout_.take(incoming); !moved) return tl::unexpected(moved.error());
    ImageName key = name;
    if (key.tag.empty()) key.digest = manifest->digest;
    const std::lock_guard lock(mutex_);
    const auto before = images_.find(key.canonical());
    std::optional<Image> old;
    if (before != images_.end()) old = before->second;
    Image& image = images_[key.canonical()] = entry(key, *manifest, std::move(*stored));
    if (auto written = write_index(); !written) {
      if (old) {
        image = *old;
      } else {
        images_.erase(key.canonical());
      }
      return tl::unexpected(written.error());
    }
    return summary(key.canonical(), image);
  }

  const ImageStoreOptions options_;
  Layout layout_;
  const Fd ended_;  // readable from end() on
  Unpacker unpacker_;
  Together<ImageSummary> pulls_;
  Together<bool> unpacks_;
  mutable std::mutex mutex_;  // of all below
  std::map<std::string, Image> images_;
  mutable std::vector<std::weak_ptr<const std::vector<std::string>>> leases_;
  int fetching_ = 0;
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
Result<ImageSummary> ImageStore::pull(const std::string& name) { return impl_->pull(name); }
std::optional<ResolvedImage> ImageStore::resolve(const std::string& name) const { return impl_->resolve(name); }
Result<ResolvedImage> ImageStore::obtain(const std::string& name) {
  if (auto present = resolve(name)) return *present;
  if (auto pulled = pull(name); !pulled) return tl::unexpected(pulled.error());
  if (auto present = resolve(name)) return *present;
  return fail("CannotPullContainerError: image " + name + " was removed while it was pulled");
}
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
