#include "logstore/writer/line_pattern.h"

#include <utility>

namespace berth::logstore {
namespace {

using Op = LinePattern::Op;
using Step = LinePattern::Step;
using Bytes = LinePattern::Bytes;

constexpr size_t kPatternBytesMax = 4096;
constexpr size_t kStepsMax = 4000;
constexpr size_t kSetsMax = 2000;
constexpr int kRepeatMax = 1000;  // Go's
constexpr int kDepthMax = 200;    // of groups in groups and alternatives behind alternatives

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word(char c) { return is_digit(c) || is_letter(c) || c == '_'; }
bool is_ascii(char c) { return (c & 0x80) == 0; }

int hex_digit(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void add_range(Bytes& set, uint8_t first, uint8_t last) {
  for (int byte = first; byte <= last; ++byte) set.add(static_cast<uint8_t>(byte));
}

// \d, \s, \w: false where it is none of them, capitals included.
bool add_perl_class(Bytes& set, char name) {
  switch (name) {
    case 'd': add_range(set, '0', '9'); return true;
    case 's':
      for (const char c : {'\t', '\n', '\f', '\r', ' '}) set.add(static_cast<uint8_t>(c));
      return true;
    case 'w': add_range(set, '0', '9'), add_range(set, 'A', 'Z'), add_range(set, 'a', 'z'), set.add('_'); return true;
    default: return false;
  }
}

bool add_posix_class(Bytes& set, std::string_view name) {
  struct Range {
    std::string_view name;
    uint8_t first, last;
  };
  static constexpr Range kRanges[] = {
      {"alnum", '0', '9'},  {"alnum", 'A', 'Z'},   {"alnum", 'a', 'z'}, {"alpha", 'A', 'Z'},   {"alpha", 'a', 'z'},
      {"ascii", 0, 127},    {"blank", '\t', '\t'}, {"blank", ' ', ' '}, {"cntrl", 0, 31},      {"cntrl", 127, 127},
      {"digit", '0', '9'},  {"graph", '!', '~'},   {"lower", 'a', 'z'}, {"print", ' ', '~'},   {"punct", '!', '/'},
      {"punct", ':', '@'},  {"punct", '[', '`'},   {"punct", '{', '~'}, {"space", '\t', '\r'}, {"space", ' ', ' '},
      {"upper", 'A', 'Z'},  {"word", '0', '9'},    {"word", 'A', 'Z'},  {"word", 'a', 'z'},    {"word", '_', '_'},
      {"xdigit", '0', '9'}, {"xdigit", 'A', 'F'},  {"xdigit", 'a', 'f'}};
  bool found = false;
  for (const Range& range : kRanges) {
    if (range.name != name) continue;
    add_range(set, range.first, range.last);
    found = true;
  }
  return found;
}

class Compiler {
 public:
  Compiler(std::string_view pattern, std::vector<Step>& code, std::vector<Bytes>& sets)
      : rest_(pattern), code_(code), sets_(sets) {}

  const char* run() {
    alternatives(0);
    if (!error_ && !rest_.empty()) error_ = "unexpected )";
    add({Op::match});
    return error_;
  }

 private:
  bool failed(const char* why) {
    if (!error_) error_ = why;
    return false;
  }
  bool next_is(char c) const { return !rest_.empty() && rest_.front() == c; }
  bool take(char c) {
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  char take_any() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  void add(const Step& step) {
    if (code_.size() >= kStepsMax) {
      failed("expression too large");
      return;
    }
    code_.push_back(step);
  }
  void insert(size_t at, const Step& step) {
    add(step);
    if (error_) return;
    for (size_t i = code_.size() - 1; i > at; --i) std::swap(code_[i], code_[i - 1]);
  }
  void copy(size_t from, size_t to) {
    for (size_t i = from; i < to && !error_; ++i) add(Step(code_[i]));
  }
  int32_t length_since(size_t start) const { return static_cast<int32_t>(code_.size() - start); }

  void add_set(Bytes set) {
    if (fold_) {
      for (char c = 'a'; c <= 'z'; ++c) {
        const auto low = static_cast<uint8_t>(c), high = static_cast<uint8_t>(c - 'a' + 'A');
        if (set.has(low)) set.add(high);
        if (set.has(high)) set.add(low);
      }
    }
    if (sets_.size() >= kSetsMax) {
      failed("expression too large");
      return;
    }
    sets_.push_back(set);
    add({Op::byte, static_cast<uint16_t>(sets_.size() - 1)});
  }
  void add_byte(char c) {
    Bytes set;
    set.add(static_cast<uint8_t>(c));
    add_set(set);
  }
  // Any character but those of `set`: one byte of ASCII, or a first byte of more and those that go on from it.
  void add_all_but(const Bytes& set) {
    Bytes first, more;
    for (int byte = 0; byte < 256; ++byte)
      if ((byte < 0x80 || byte >= 0xc0) && !set.has(static_cast<uint8_t>(byte))) first.add(static_cast<uint8_t>(byte));
    add_range(more, 0x80, 0xbf);
    add_set(first);
    add({Op::fork, 0, 1, 3});
    add_set(more);
    add({Op::jump, 0, -2});
  }

  void alternatives(int depth) {
    if (depth > kDepthMax) failed("expression nests too deeply");
    if (error_) return;
    const size_t start = code_.size();
    while (!error_ && !rest_.empty() && !next_is('|') && !next_is(')')) repeated(depth);
    if (error_ || !take('|')) return;
    insert(start, {Op::fork, 0, 1, length_since(start) + 2});
    const size_t jump = code_.size();
    add({Op::jump});
    alternatives(depth + 1);
    if (!error_) code_[jump].to = length_since(jump);
  }

  void repeated(int depth) {
    const size_t start = code_.size();
    if (const char c = rest_.front(); c == '*' || c == '+' || c == '?') {
      failed("missing argument to repetition operator");
      return;
    }
    if (!atom(depth)) return;
    int least = 0, most = -1;
    bool is_repeated = true;
    if (take('*')) {
    } else if (take('+')) {
      least = 1;
    } else if (take('?')) {
      most = 1;
    } else {
      is_repeated = take_counts(&least, &most);
    }
    if (!is_repeated || error_) return;
    take('?');  // fewer or more: it is a match either way
    int ignored;
    if (next_is('*') || next_is('+') || next_is('?') || Compiler(*this).take_counts(&ignored, &ignored)) {
      failed("invalid nested repetition operator");
      return;
    }
    repeat(start, least, most);
  }

  // "{2}", "{2,}", "{2,5}"; anything else stands for itself, as in Go.
  bool take_counts(int* least, int* most) {
    std::string_view text = rest_;
    if (text.empty() || text.front() != '{') return false;
    text.remove_prefix(1);
    const auto number = [&text](int* value) {
      if (text.empty() || !is_digit(text.front())) return false;
      for (*value = 0; !text.empty() && is_digit(text.front()); text.remove_prefix(1)) {
        if (*value <= kRepeatMax) *value = *value * 10 + (text.front() - '0');
      }
      return true;
    };
    if (!number(least)) return false;
    *most = *least;
    if (!text.empty() && text.front() == ',') {
      text.remove_prefix(1);
      if (!number(most)) *most = -1;
    }
    if (text.empty() || text.front() != '}') return false;
    rest_ = text.substr(1);
    if (*least > kRepeatMax || *most > kRepeatMax || (*most >= 0 && *most < *least))
      return failed("invalid repeat count");
    return true;
  }

  // The code since `start`, `least` to `most` times (-1: without a bound).
  void repeat(size_t start, int least, int most) {
    const size_t end = code_.size();
    const int32_t length = length_since(start);
    if (length == 0) return;  // nothing, however often
    for (int i = 1; i < least; ++i) copy(start, end);
    if (most < 0) {
      if (least > 0) {
        add({Op::fork, 0, -length, 1});
      } else {
        insert(start, {Op::fork, 0, 1, length + 2});
        add({Op::jump, 0, -(length + 1)});
      }
      return;
    }
    for (int i = least > 0 ? least : 1; i < most; ++i) {
      add({Op::fork, 0, 1, length + 1});
      copy(start, end);
    }
    if (least > 0) return;
    if (most == 0) {
      code_.erase(code_.begin() + static_cast<ptrdiff_t>(start), code_.end());
    } else {
      insert(start, {Op::fork, 0, 1, length + 1});
    }
  }

  bool atom(int depth) {
    const char c = take_any();
    switch (c) {
      case '(': return group(depth);
      case '[': return brackets();
      case '.': add_all_but(new_line()); return !error_;
      case '^': add({Op::line_begin}); return !error_;
      case '$': add({Op::line_end}); return !error_;
      case '\\': return escape();
      default: break;
    }
    add_byte(c);
    // The bytes of a character are one atom.
    if ((c & 0xc0) == 0xc0)
      while (!rest_.empty() && (rest_.front() & 0xc0) == 0x80) add_byte(take_any());
    return !error_;
  }

  static Bytes new_line() {
    Bytes set;
    set.add('\n');
    return set;
  }

  bool group(int depth) {
    const bool fold = fold_;
    if (take('?')) {
      if (take("P<") || take('<')) {
        const size_t end = rest_.find('>');
        if (end == 0 || end == rest_.npos) return failed("invalid named capture");
        rest_.remove_prefix(end + 1);
      } else {
        bool off = false;
        while (!rest_.empty() && !next_is(':') && !next_is(')')) {
          const char flag = take_any();
          if (flag == '-' && !off) {
            off = true;
          } else if (flag == 'i') {
            fold_ = !off;
          } else if (flag != 'm' && flag != 's' && flag != 'U') {  // these change nothing within one line
            return failed("invalid or unsupported Perl syntax");
          }
        }
        if (take(')')) return true;  // for the rest of the group around it
        if (!take(':')) return failed("missing closing )");
      }
    }
    alternatives(depth + 1);
    if (!error_ && !take(')')) failed("missing closing )");
    fold_ = fold;
    return !error_;
  }

  // What a single character is written as behind a backslash; -1: it is none, and why is told.
  int escaped_byte(char c) {
    switch (c) {
      case 'a': return '\a';
      case 'f': return '\f';
      case 'n': return '\n';
      case 'r': return '\r';
      case 't': return '\t';
      case 'v': return '\v';
      case 'x': return hex_escape();
      default: break;
    }
    if (is_ascii(c) && !is_word(c)) return c;
    if (c == '_') return c;
    failed("invalid or unsupported escape sequence");
    return -1;
  }

  int hex_escape() {
    const bool braced = take('{');
    int value = 0, digits = 0;
    for (; !rest_.empty() && hex_digit(rest_.front()) >= 0 && digits < (braced ? 8 : 2); ++digits)
      value = value < 0x80 ? value * 16 + hex_digit(take_any()) : (take_any(), value);
    if (digits == 0 || (braced ? !take('}') : digits < 2)) return failed("invalid escape sequence"), -1;
    if (value >= 0x80) return failed("characters beyond ASCII are not served as numbers"), -1;
    return value;
  }

  bool escape() {
    if (rest_.empty()) return failed("trailing backslash at end of expression");
    const char c = take_any();
    switch (c) {
      case 'A': add({Op::line_begin}); return !error_;
      case 'z': add({Op::line_end}); return !error_;
      case 'b': add({Op::word_edge}); return !error_;
      case 'B': add({Op::no_word_edge}); return !error_;
      default: break;
    }
    Bytes set;
    if (add_perl_class(set, c)) {
      add_set(set);
    } else if (c >= 'A' && c <= 'Z' && add_perl_class(set, static_cast<char>(c - 'A' + 'a'))) {
      add_all_but(set);
    } else if (const int byte = escaped_byte(c); byte >= 0) {
      add_byte(static_cast<char>(byte));
    }
    return !error_;
  }

  bool brackets() {
    Bytes set;
    const bool negated = take('^');
    for (bool first = true; first || !next_is(']'); first = false) {
      if (rest_.empty()) return failed("missing closing ]");
      if (take("[:")) {
        const bool inverse = take('^');
        const size_t end = rest_.find(":]");
        Bytes named;
        if (end == rest_.npos || inverse || !add_posix_class(named, rest_.substr(0, end)))
          return failed("invalid or unsupported character class");
        rest_.remove_prefix(end + 2);
        for (int i = 0; i < 4; ++i) set.bits[i] |= named.bits[i];
        continue;
      }
      if (next_is('\\') && rest_.size() > 1 && add_perl_class(set, rest_[1])) {
        rest_.remove_prefix(2);
        continue;
      }
      const int low = bracket_byte();
      int high = low;
      if (low >= 0 && rest_.size() > 1 && next_is('-') && rest_[1] != ']') {
        rest_.remove_prefix(1);
        high = bracket_byte();
        if (high >= 0 && high < low) failed("invalid character class range");
      }
      if (error_) return false;
      add_range(set, static_cast<uint8_t>(low), static_cast<uint8_t>(high));
    }
    rest_.remove_prefix(1);
    if (!negated) {
      add_set(set);
      return !error_;
    }
    if (fold_)
      for (char c = 'a'; c <= 'z'; ++c) {
        const auto low = static_cast<uint8_t>(c), high = static_cast<uint8_t>(c - 'a' + 'A');
        if (set.has(low) || set.has(high)) set.add(low), set.add(high);
      }
    add_all_but(set);
    return !error_;
  }

  int bracket_byte() {
    if (rest_.empty()) return failed("missing closing ]"), -1;
    const char c = take_any();
    if (!is_ascii(c)) return failed("characters beyond ASCII are not served in brackets"), -1;
    if (c != '\\') return c;
    if (rest_.empty()) return failed("missing closing ]"), -1;
    return escaped_byte(take_any());
  }

  std::string_view rest_;
  std::vector<Step>& code_;
  std::vector<Bytes>& sets_;
  const char* error_ = nullptr;
  bool fold_ = false;
};

}  // namespace

const char* LinePattern::compile(std::string_view pattern) {
  if (pattern.empty()) return "it is empty";
  if (pattern.size() > kPatternBytesMax) return "expression too large";
  std::vector<Step> code;
  std::vector<Bytes> sets;
  if (const char* error = Compiler(pattern, code, sets).run()) return error;
  code_.swap(code);
  sets_.swap(sets);
  reached_.assign(code_.size(), 0);
  round_ = 0;
  return nullptr;
}

// Every step that waits for a byte and can be reached from `first` without one. True: a match can be.
bool LinePattern::follow(uint32_t first, const Edges& edges, std::vector<uint32_t>& into) {
  stack_.clear();
  stack_.push_back(first);
  while (!stack_.empty()) {
    const uint32_t at = stack_.back();
    stack_.pop_back();
    if (reached_[at] == round_) continue;
    reached_[at] = round_;
    const Step& step = code_[at];
    bool holds = false;
    switch (step.op) {
      case Op::match: return true;
      case Op::byte: into.push_back(at); continue;
      case Op::fork:
        stack_.push_back(at + static_cast<uint32_t>(step.also));
        stack_.push_back(at + static_cast<uint32_t>(step.to));
        continue;
      case Op::jump: stack_.push_back(at + static_cast<uint32_t>(step.to)); continue;
      case Op::line_begin: holds = edges.at_begin; break;
      case Op::line_end: holds = edges.at_end; break;
      case Op::word_edge: holds = edges.word_before != edges.word_after; break;
      case Op::no_word_edge: holds = edges.word_before == edges.word_after; break;
    }
    if (holds) stack_.push_back(at + 1);
  }
  return false;
}

bool LinePattern::matches(std::string_view line) {
  if (code_.empty()) return false;
  const bool anchored = code_.front().op == Op::line_begin;
  now_.clear();
  for (size_t i = 0;; ++i) {
    if (++round_ == 0) {
      reached_.assign(code_.size(), 0);
      round_ = 1;
    }
    const Edges edges{i == 0, i == line.size(), i > 0 && is_word(line[i - 1]), i < line.size() && is_word(line[i])};
    next_.clear();
    for (const uint32_t at : now_)
      if (follow(at, edges, next_)) return true;
    if ((i == 0 || !anchored) && follow(0, edges, next_)) return true;
    if (i == line.size() || (anchored && next_.empty())) return false;
    now_.clear();
    for (const uint32_t at : next_)
      if (sets_[code_[at].set].has(static_cast<uint8_t>(line[i]))) now_.push_back(at + 1);
  }
}

}  // namespace berth::logstore
