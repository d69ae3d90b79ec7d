// CRC-32C (Castagnoli), eight bytes a step: a byte-wise table would cost a reader more than the disk does.
#include "logstore/writer/format.h"

namespace berth::logstore {
namespace {

struct Tables {
  uint32_t at[8][256];
};

constexpr Tables make_tables() {
  Tables tables{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) ? 0x82f63b78 : 0);
    tables.at[0][i] = crc;
  }
  for (uint32_t i = 0; i < 256; ++i) {
    for (int t = 1; t < 8; ++t) {
      const uint32_t before = tables.at[t - 1][i];
      tables.at[t][i] = (before >> 8) ^ tables.at[0][before & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = make_tables();

}  // namespace

uint32_t crc32c(uint32_t crc, const void* bytes, size_t length) {
  const unsigned char* at = static_cast<const unsigned char*>(bytes);
  crc = ~crc;
  for (; length >= 8; length -= 8, at += 8) {
    uint64_t word = 0;
    memcpy(&word, at, 8);
    word ^= crc;
    crc = 0;
    for (int i = 0; i < 8; ++i) crc ^= kTables.at[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; length > 0; --length, ++at) crc = (crc >> 8) ^ kTables.at[0][(crc ^ *at) & 0xff];
  return ~crc;
}

}  // namespace berth::logstore
