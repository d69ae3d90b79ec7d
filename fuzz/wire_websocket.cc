// WebSocket frames as a client may send them, whole and in pieces: what comes out must not depend on how the bytes arrive.
#include <cstdlib>
#include <string>
#include <vector>

#include "base/json.h"
#include "wire/websocket.h"

namespace {

using berth::wire::websocket::FrameReader;

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr size_t kMessageMax = 300;

std::vector<std::string> steps(std::string_view bytes, size_t piece) {
  FrameReader reader(kMessageMax);
  std::vector<std::string> out;
  for (size_t at = 0; at < bytes.size();) {
    size_t used = 0;
    const std::string_view given = bytes.substr(at, piece);
    const FrameReader::Step step = reader.next(given, used);
    require(used <= given.size());
    at += used;
    switch (step) {
      case FrameReader::Step::more: require(used == given.size()); break;
      case FrameReader::Step::message:
        require(reader.payload().size() <= kMessageMax);
        out.push_back(reader.payload());
        break;
      case FrameReader::Step::ping:
      case FrameReader::Step::pong:
        require(reader.payload().size() <= 125);
        out.push_back("+" + reader.payload());
        break;
      case FrameReader::Step::close:
      case FrameReader::Step::broken:
        require(reader.close_code() >= 1000 && reader.close_code() < 5000);
        out.push_back(std::to_string(reader.close_code()));
        return out;
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto whole = steps(bytes, SIZE_MAX);
  require(whole == steps(bytes, 1));
  require(whole == steps(bytes, 7));
  return 0;
}
