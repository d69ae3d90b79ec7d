// Regular expressions over lines, for awslogs-multiline-pattern: a line that has a match begins an event. The syntax is
// that of Go's regexp, which the driver uses, less classes of Unicode; what is not served is refused, never guessed.
//
// All ways through the pattern are tried at once (Thompson), so that a line costs at most its length times the
// pattern's, whatever both are: neither lines nor patterns are to be trusted. One thread; no exceptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace berth::logstore {

class LinePattern {
 public:
  // Null: it is a pattern, and this matches it from now on. Otherwise what is wrong, and this is as it was.
  const char* compile(std::string_view pattern);
  bool is_set() const { return !code_.empty(); }
  // Whether `line`, without its newline, has a match anywhere. False where nothing was compiled.
  bool matches(std::string_view line);

  struct Bytes {
    uint64_t bits[4] = {};
    void add(uint8_t byte) { bits[byte / 64] |= uint64_t{1} << (byte % 64); }
    bool has(uint8_t byte) const { return (bits[byte / 64] >> (byte % 64) & 1) != 0; }
  };
  enum class Op : uint8_t { byte, fork, jump, line_begin, line_end, word_edge, no_word_edge, match };
  // Targets are relative, so that a piece of code may be moved and copied.
  struct Step {
    Op op;
    uint16_t set = 0;  // of `byte`
    int32_t to = 1;    // of `fork`, `jump`
    int32_t also = 1;  // of `fork`
  };

 private:
  struct Edges {
    bool at_begin, at_end, word_before, word_after;
  };
  bool follow(uint32_t first, const Edges& edges, std::vector<uint32_t>& into);

  std::vector<Step> code_;
  std::vector<Bytes> sets_;
  // While matching: the steps that wait for a byte, and when each was last reached.
  std::vector<uint32_t> now_, next_, stack_;
  std::vector<uint32_t> reached_;
  uint32_t round_ = 0;
};

}  // namespace berth::logstore
