#include "logstore/writer/line_pattern.h"

#include <gtest/gtest.h>

#include <string>

namespace berth::logstore {
namespace {

bool matches(std::string_view pattern, std::string_view line) {
  LinePattern compiled;
  const char* error = compiled.compile(pattern);
  EXPECT_EQ(error, nullptr) << pattern << ": " << error;
  return compiled.matches(line);
}

std::string error_of(std::string_view pattern) {
  const char* error = LinePattern().compile(pattern);
  return error ? error : "";
}

TEST(LinePatterns, Match) {
  struct Case {
    std::string_view pattern, line;
    bool matches;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"INFO", "an INFO b", true},
           {"INFO", "INF0", false},
           {"^INFO", "INFO", true},
           {"^INFO", " INFO", false},
           {"end$", "the end", true},
           {"end$", "the end.", false},
           {"^$", "", true},
           {"^$", "x", false},
           {"a|b|cd", "xcd", true},
           {"^(a|b|cd)$", "c", false},
           {"^(?:a|)x", "x", true},
           {"^a*b", "aaab", true},
           {"^a*b", "b", true},
           {"^a+b", "b", false},
           {"^a+?b", "aab", true},
           {"^ab?c", "ac", true},
           {"^(ab)*c", "ababc", true},
           {"^(ab)*c", "abac", false},
           {"^(a*)*$", "aaaa", true},
           {"^(a|b*)*c", "abbac", true},
           {"^a{3}$", "aaa", true},
           {"^a{3}$", "aa", false},
           {"^a{2,}$", "aaaaa", true},
           {"^a{2,}$", "a", false},
           {"^a{0,2}$", "", true},
           {"^a{0,2}$", "aa", true},
           {"^a{0,2}$", "aaa", false},
           {"^a{1,3}b", "aaab", true},
           {"^a{1,3}b", "aaaab", false},
           {"^a{0}b", "b", true},
           {"^(ab|c){2}$", "cab", true},
           {"^a{,2}", "a{,2}", true},  // as in Go, no count
           {"x{", "x{", true},
           {"^.$", "é", true},
           {"^..$", "é", false},
           {"^é+$", "ééé", true},
           {"^[^a]$", "é", true},
           {"^[abc]+$", "cab", true},
           {"^[a-c]+$", "abd", false},
           {"^[]a]+$", "]a", true},
           {"^[^]a]$", "]", false},
           {"^[a-]+$", "a-", true},
           {"^[\\d_]+$", "1_2", true},
           {"^[[:alpha:][:digit:]]+$", "a1", true},
           {"^\\d{4}-\\d\\d", "2026-11 x", true},
           {"^\\D\\W\\S", "a-b", true},
           {"^\\D", "1", false},
           {"\\bcat\\b", "a cat.", true},
           {"\\bcat\\b", "concat", false},
           {"\\Bcat", "concat", true},
           {"^\\[\\w+\\]", "[main] x", true},
           {"^\\x41\\x{42}\\t", "AB\t", true},
           {"(?i)error", "an ErRoR", true},
           {"(?i)[a-c]x", "BX", true},
           {"(?i)[^a]x$", "Ax", false},
           {"(?i:a)b", "Ab", true},
           {"(?i:a)b", "AB", false},
           {"a(?i)b|c", "C", true},
           {"(?P<name>a)(?<other>b)", "ab", true},
           {"\\A\\d+\\z", "12", true},
           {"^a|b", "xb", true},
           {"^*b", "ab", true},
       }) {
    EXPECT_EQ(matches(c.pattern, c.line), c.matches) << c.pattern << " on " << c.line;
  }
}

TEST(LinePatterns, WhatIsNoneIsTold) {
  for (const char* pattern :
       {"",      "(",      ")",       "a)",    "(a",       "[",    "[a",    "[z-a]",      "*",     "a|*",
        "a**",   "a+*",    "a{2}{3}", "\\",    "\\q",      "\\pL", "[\\D]", "[[:nope:]]", "(?=a)", "(?P<a",
        "(?x)a", "a{3,2}", "a{1001}", "\\xZZ", "\\x{100}", "[é]",  "(?i",   "(?"})
    EXPECT_NE(error_of(pattern), "") << pattern;
  EXPECT_EQ(error_of("(a{1000}){1000}"), "expression too large");
  EXPECT_EQ(error_of(std::string(5000, 'a')), "expression too large");
  EXPECT_EQ(error_of(std::string(1000, '(')), "expression nests too deeply");
  LinePattern kept;
  ASSERT_EQ(kept.compile("a"), nullptr);
  EXPECT_NE(kept.compile("("), nullptr);
  EXPECT_TRUE(kept.matches("a"));
  EXPECT_FALSE(LinePattern().matches(""));
}

TEST(LinePatterns, AreNotSlowOnLinesThatAreMadeForIt) {
  // 2^30 ways in a matcher that goes back.
  EXPECT_FALSE(matches("^(a|a)*(a?){30}a{30}b$", std::string(300, 'a')));
  EXPECT_FALSE(matches("(x+x+)+y", std::string(10'000, 'x')));
}

}  // namespace
}  // namespace berth::logstore
