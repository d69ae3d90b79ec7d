// Randomness reaches decisions only as an argument. Prng is our own (xoshiro256**, public domain algorithm), so that a
// simulator seed means the same run with every compiler and library.
#pragma once

#include <cstdint>
#include <string>

namespace berth {

class Random {
 public:
  virtual ~Random() = default;
  virtual uint64_t next() = 0;

  uint64_t below(uint64_t bound);  // uniform in [0, bound); bound > 0
  bool chance(uint32_t percent) { return below(100) < percent; }
};

class Prng final : public Random {
 public:
  explicit Prng(uint64_t seed);
  uint64_t next() override;

 private:
  uint64_t state_[4];
};

// getrandom(2); for ids and keys of a running daemon.
class SystemRandom final : public Random {
 public:
  uint64_t next() override;
};

std::string new_hex_id(Random& random, int digits = 32);  // a task's id is 32 hex digits
std::string new_uuid(Random& random);                     // version 4, lower case
std::string new_decimal_id(Random& random, int digits);   // never begins with 0; "ecs-svc/<19 digits>"

}  // namespace berth
