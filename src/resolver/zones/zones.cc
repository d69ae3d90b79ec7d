#include "resolver/zones/zones.h"

namespace berth::resolver {

std::string encode_frame(const Frame& frame) {
  std::string body = encode_body(frame);
  std::string out;
  taskdir::Encoder{out}(static_cast<uint32_t>(body.size()));
  return out + body;
}

std::optional<Frame> FrameReader::next() {
  if (broken_ || buffer_.size() - read_ < 4) return std::nullopt;
  uint32_t size = 0;
  taskdir::Decoder{std::string_view(buffer_).substr(read_, 4)}(size);
  if (size > kFrameBytesMax) {
    broken_ = true;
    return std::nullopt;
  }
  if (buffer_.size() - read_ - 4 < size) return std::nullopt;
  auto frame = decode_body<Frame>(std::string_view(buffer_).substr(read_ + 4, size));
  read_ += 4 + size;
  if (read_ == buffer_.size() || read_ > kFrameBytesMax) {
    buffer_.erase(0, read_);
    read_ = 0;
  }
  if (!frame) broken_ = true;
  return frame;
}

}  // namespace berth::resolver
