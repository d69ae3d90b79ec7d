#include "taskdir/crc32.h"

namespace berth::taskdir {

// Four bits a step from a table of 16 words: records are small, and a supervisor touches one cache line instead of 16.
constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41 with its bits reversed

struct Table {
  uint32_t of[16];
  constexpr Table() : of{} {
    for (uint32_t i = 0; i < 16; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 4; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
      of[i] = crc;
    }
  }
};
constexpr Table kTable;

uint32_t crc32(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (unsigned char byte : bytes) {
    crc ^= byte;
    crc = (crc >> 4) ^ kTable.of[crc & 15];
    crc = (crc >> 4) ^ kTable.of[crc & 15];
  }
  return ~crc;
}

}  // namespace berth::taskdir
