// CRC-32C (Castagnoli): tells a torn or foreign record from a whole one. Not a defence against malice.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::taskdir {
uint32_t crc32(std::string_view bytes);
}
