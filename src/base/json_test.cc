#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>

namespace berth::json {
namespace {

TEST(Json, ReadsWhatItWrites) {
  const std::string text =
      R"({"a":[1,-2,2.5,true,false,null,"x\n\"\\é"],"b":{"c":{}},"d":9223372036854775807,"e":[],"":""})";
  const auto value = parse(text);
  ASSERT_TRUE(value) << value.error().context;
  EXPECT_EQ(to_string(*value), text);
  EXPECT_EQ(*parse(to_pretty_string(*value)), *value);
}

TEST(Json, ReadsPathsWithDefaults) {
  const Value value = *parse(R"({"task":{"pid":12,"cpu":0.5},"n":1,"n":2})");
  EXPECT_EQ(value["task"]["pid"].int_or(0), 12);
  EXPECT_EQ(value["task"]["cpu"].double_or(0), 0.5);
  EXPECT_EQ(value["task"]["pid"].double_or(0), 12.0);
  EXPECT_EQ(value["none"]["pid"].int_or(7), 7);
  EXPECT_EQ(value["n"].int_or(0), 2);
  EXPECT_EQ(value.find("none"), nullptr);
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const char* text : {"", "{", "[1,]", "{\"a\" 1}", "1 2", "nul", "\"\\x\"", "\"\xff\"", "01", "{} x"}) {
    const auto value = parse(text);
    ASSERT_FALSE(value) << text;
    EXPECT_NE(value.error().context.find("byte"), std::string::npos) << value.error().context;
  }
}

TEST(Json, RefusesDepthBeyondTheLimit) {
  const auto nested = [](int depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse(nested(limits::kJsonDepthMax)));
  EXPECT_FALSE(parse(nested(limits::kJsonDepthMax + 1)));
}

TEST(Json, NumbersSurvive) {
  for (double number : {0.1, 1e300, -2.0, 1.0 / 3}) EXPECT_EQ(parse(to_string(Value(number)))->double_or(0), number);
  EXPECT_NE(parse("18446744073709551615")->if_double(), nullptr);
  EXPECT_EQ(to_string(Value(std::nan(""))), "null");
}

TEST(Json, WriterPlacesCommas) {
  std::string out;
  Writer writer(out);
  writer.begin_object()
      .member("a", "x")
      .key("b")
      .begin_array()
      .number(int64_t{1})
      .null()
      .begin_object()
      .end_object()
      .end_array();
  writer.member("c", true).key("d").raw("[2]").end_object();
  EXPECT_EQ(out, R"({"a":"x","b":[1,null,{}],"c":true,"d":[2]})");
}

TEST(Json, SetAddsAndReplaces) {
  Value value;
  value.set("a", 1);
  value.set("b", "x");
  value.set("a", 2);
  EXPECT_EQ(to_string(value), R"({"a":2,"b":"x"})");
}

TEST(Json, ControlCharactersAreEscaped) {
  std::string out;
  append_quoted(out, std::string_view("\0\x1f\x7f", 3));
  EXPECT_EQ(out, "\"\\u0000\\u001f\x7f\"");
}

TEST(Json, BytesThatAreNotUtf8AreReplaced) {
  for (const auto& [bytes, text] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"é😀", "\"é😀\""},
           {"a\xff\x62", "\"a\\ufffdb\""},
           {"\xc0\xaf", "\"\\ufffd\\ufffd\""},
           {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""},
           {"\xe2\x82", "\"\\ufffd\\ufffd\""}}) {
    std::string out;
    append_quoted(out, bytes);
    EXPECT_EQ(out, text);
    EXPECT_TRUE(parse(out)) << out;
  }
}

}  // namespace
}  // namespace berth::json
