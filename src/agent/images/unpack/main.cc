// berth-unpack DIFF_ID [BYTES_MAX]: reads one layer from standard input and unpacks it into the directory open as
// descriptor 3, confined to it. Says nothing and exits 0 where the whole layer is there, on the disk, and is the one of
// that diff id; else one line on standard error and 1. Removing a half-filled directory is the caller's business.
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "agent/images/unpack/confine.h"
#include "agent/images/unpack/layer_reader.h"
#include "agent/images/unpack/layer_writer.h"

#ifdef __SANITIZE_ADDRESS__
// The leak checker reads /proc, which is outside of this process's root.
extern "C" const char* __asan_default_options() { return "detect_leaks=0"; }
#endif

namespace {

berth::Result<void> run(const std::string& diff_id, const berth::unpack::Limits& limits) {
  if (auto confined = berth::unpack::confine(3); !confined) return confined;
  berth::unpack::LayerWriter writer;
  auto summary = berth::unpack::read_layer(
      0, limits, [&](const auto& entry, auto& content) { return writer.write(entry, content); });
  if (!summary) return tl::unexpected(summary.error());
  if (summary->diff_id != diff_id) {
    return berth::fail("the layer's content is " + summary->diff_id + ", not " + diff_id + " as its image says");
  }
  return writer.finish();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fputs("usage: berth-unpack DIFF_ID [BYTES_MAX] <LAYER 3<DIRECTORY\n", stderr);
    return 2;
  }
  // Names in pax headers are UTF-8; in the C locale libarchive would refuse them. Read before the root changes.
  std::setlocale(LC_CTYPE, "C.UTF-8");
  berth::unpack::Limits limits;
  if (argc == 3) limits.bytes_max = std::strtoull(argv[2], nullptr, 10);
  if (auto done = run(argv[1], limits); !done) {
    std::fprintf(stderr, "%s\n", done.error().context.c_str());
    return 1;
  }
  return 0;
}
