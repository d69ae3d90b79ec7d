// What the tests of images share: archives that may lie, OCI layouts made of them, a store in a directory of the
// test's own.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "agent/images/image_store.h"
#include "agent/images/unpacker.h"

namespace berth::images {

namespace fs = std::filesystem;

std::string sha256(const std::string& bytes);  // "sha256:…"

// What is here, else pulls it; waits for that.
Result<ResolvedImage> obtain(ImageStore& images, const std::string& name);

// Writes a tar entry by entry; nothing is checked, so that it can lie.
class Tar {
 public:
  Tar() : archive_(archive_write_new()) {
    archive_write_set_format_pax_restricted(archive_);
    archive_write_open(
        archive_, this, nullptr,
        [](archive*, void* self, const void* data, size_t size) -> la_ssize_t {
          static_cast<Tar*>(self)->bytes_.append(static_cast<const char*>(data), size);
          return static_cast<la_ssize_t>(size);
        },
        nullptr);
  }
  Tar& file(const std::string& path, const std::string& content, mode_t mode = 0644,
            const std::vector<std::pair<std::string, std::string>>& xattrs = {}) {
    return add(path, AE_IFREG, mode, content, [&](archive_entry* entry) {
      for (const auto& [name, value] : xattrs) {
        archive_entry_xattr_add_entry(entry, name.c_str(), value.data(), value.size());
      }
    });
  }
  Tar& directory(const std::string& path, mode_t mode = 0755) { return add(path, AE_IFDIR, mode, "", {}); }
  Tar& symlink(const std::string& path, const std::string& target) {
    return add(path, AE_IFLNK, 0777, "",
               [&](archive_entry* entry) { archive_entry_set_symlink(entry, target.c_str()); });
  }
  Tar& hardlink(const std::string& path, const std::string& target) {
    return add(path, AE_IFREG, 0644, "",
               [&](archive_entry* entry) { archive_entry_set_hardlink(entry, target.c_str()); });
  }
  Tar& device(const std::string& path, int type, dev_t number) {
    return add(path, type, 0666, "", [&](archive_entry* entry) { archive_entry_set_rdev(entry, number); });
  }
  std::string bytes() {
    if (archive_) archive_write_close(archive_), archive_write_free(archive_);
    archive_ = nullptr;
    return bytes_;
  }

 private:
  Tar& add(const std::string& path, int type, mode_t mode, const std::string& content,
           const std::function<void(archive_entry*)>& more) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, path.c_str());
    archive_entry_set_filetype(entry, static_cast<unsigned>(type));
    archive_entry_set_perm(entry, mode);
    archive_entry_set_uid(entry, 1234);
    archive_entry_set_gid(entry, 567);
    archive_entry_set_mtime(entry, 1'600'000'000, 0);
    archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
    if (more) more(entry);
    archive_write_header(archive_, entry);
    if (!content.empty()) archive_write_data(archive_, content.data(), content.size());
    archive_entry_free(entry);
    return *this;
  }
  archive* archive_;
  std::string bytes_;
};

class ImagesHost : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root: layers hold other users' files and trusted attributes";
    char directory[] = "/tmp/berth-images-test-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    directory_ = directory;
    fs::create_directories(layers());
    fs::create_directories(state());
  }
  void TearDown() override {
    std::error_code error;
    if (!directory_.empty()) fs::remove_all(directory_, error);
  }

  std::string layers() const { return directory_ + "/layers"; }
  std::string state() const { return directory_ + "/state"; }
  static std::string program() { return BERTH_UNPACK_PROGRAM; }

  std::string put(const std::string& name, const std::string& bytes) {
    fs::create_directories(fs::path(directory_ + "/" + name).parent_path());
    std::ofstream(directory_ + "/" + name, std::ios::binary) << bytes;
    return directory_ + "/" + name;
  }
  // The directory of the unpacked layer, or why there is none.
  Result<std::string> unpack(const std::string& tar) {
    const Unpacker unpacker(layers(), program());
    const std::string id = sha256(tar);
    if (auto done = unpacker.unpack(id, put("layer.tar", tar)); !done) return tl::unexpected(done.error());
    return unpacker.directory(id);
  }
  // An OCI layout with one image under the tag "t".
  std::string oci(const std::string& name, const std::vector<std::string>& tars, const std::string& config = "{}");
  std::unique_ptr<ImageStore> store(std::set<std::string>* in_use = nullptr) {
    ImageStoreOptions options{state(), program()};
    if (in_use) options.layers_in_use = [in_use] { return *in_use; };
    auto opened = ImageStore::open(std::move(options));
    EXPECT_TRUE(opened) << opened.error().context;
    return std::move(*opened);
  }
  static std::string text(const std::string& path) {
    std::ostringstream out;
    out << std::ifstream(path).rdbuf();
    return out.str();
  }
  size_t files_in(const std::string& path) {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path), fs::directory_iterator()));
  }

  std::string directory_;
};

#define ASSERT_OK(expression)                        \
  do {                                               \
    const auto& outcome = (expression);              \
    ASSERT_TRUE(outcome) << outcome.error().context; \
  } while (false)

}  // namespace berth::images
