#include "base/random.h"

#include <sys/random.h>

#include "base/assert.h"

namespace berth {
namespace {
uint64_t rotate_left(uint64_t value, int by) { return (value << by) | (value >> (64 - by)); }

uint64_t split_mix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}
}  // namespace

uint64_t Random::below(uint64_t bound) {
  BERTH_ASSERT(bound > 0);
  // Rejection keeps it uniform: the last, incomplete stretch of the 64-bit range is thrown away.
  const uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  uint64_t value = next();
  while (value >= limit) value = next();
  return value % bound;
}

Prng::Prng(uint64_t seed) {
  for (uint64_t& word : state_) word = split_mix(seed);
}

uint64_t Prng::next() {
  const uint64_t result = rotate_left(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = rotate_left(state_[3], 45);
  return result;
}

uint64_t SystemRandom::next() {
  uint64_t value = 0;
  const ssize_t got = getrandom(&value, sizeof value, 0);
  BERTH_ASSERT(got == sizeof value);
  return value;
}

std::string new_hex_id(Random& random, int digits) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string id;
  uint64_t bits = 0;
  for (int i = 0; i < digits; ++i) {
    if (i % 16 == 0) bits = random.next();
    id += kHex[bits & 15];
    bits >>= 4;
  }
  return id;
}

std::string new_uuid(Random& random) {
  std::string id = new_hex_id(random, 32);
  id[12] = '4';
  id[16] = "89ab"[id[16] & 3];
  for (int at : {20, 16, 12, 8}) id.insert(static_cast<size_t>(at), 1, '-');
  return id;
}

std::string new_decimal_id(Random& random, int digits) {
  std::string id(1, static_cast<char>('1' + random.below(9)));
  while (static_cast<int>(id.size()) < digits) id += static_cast<char>('0' + random.below(10));
  return id;
}

}  // namespace berth
