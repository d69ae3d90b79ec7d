#include "wire/gzip.h"

#include <zlib.h>

#include <algorithm>

#include "base/assert.h"

namespace berth::wire {
namespace {

constexpr int kGzipOnly = 15 + 16;  // the largest window; no zlib header
constexpr size_t kStepBytes = 16 * 1024;

class Stream {
 public:
  explicit Stream(std::string_view packed) {
    BERTH_ASSERT(::inflateInit2(&stream_, kGzipOnly) == Z_OK);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
  }
  ~Stream() { ::inflateEnd(&stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Appends up to `room` bytes; zlib's answer.
  int step(std::string& out, size_t room) {
    const size_t before = out.size();
    out.resize(before + room);
    stream_.next_out = reinterpret_cast<Bytef*>(out.data() + before);
    stream_.avail_out = static_cast<uInt>(room);
    const int done = ::inflate(&stream_, Z_NO_FLUSH);
    out.resize(before + room - stream_.avail_out);
    return done;
  }
  bool at_end() const { return stream_.avail_in == 0; }
  void next_member() { ::inflateReset(&stream_); }

 private:
  z_stream stream_{};
};

}  // namespace

Gunzip gunzip(std::string_view packed, size_t max, std::string& out) {
  Stream stream(packed);
  const size_t begin = out.size();
  while (true) {
    // One byte more than is allowed shows whether there is more.
    const size_t room = std::min(kStepBytes, begin + max + 1 - out.size());
    const int done = stream.step(out, room);
    if (out.size() - begin > max) return Gunzip::too_large;
    if (done == Z_STREAM_END) {
      if (stream.at_end()) return Gunzip::whole;
      stream.next_member();
    } else if (done != Z_OK) {
      return Gunzip::broken;  // Z_BUF_ERROR: it ends too early
    }
  }
}

std::string gunzip_beginning(std::string_view packed, size_t max) {
  Stream stream(packed);
  std::string out;
  (void)stream.step(out, max);
  return out;
}

}  // namespace berth::wire
