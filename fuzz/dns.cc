// What tasks send to the resolver, and what servers outside answer it: whatever comes, what leaves is a message that can be
// read, for the question that was asked. The first byte says which of the two it is.
#include <array>
#include <cstdlib>
#include <string>

#include "resolver/answer.h"
#include "resolver/zones/zones.h"

namespace {

using namespace berth;
using namespace berth::resolver;

void require(bool holds) {
  if (!holds) std::abort();
}

Change change(Kind kind, std::string service, std::string id, std::string body) {
  return {.kind = kind,
          .vpc = "v",
          .zone = "z",
          .service = std::move(service),
          .id = std::move(id),
          .body = std::move(body)};
}

const Directory& directory() {
  static const Directory made = [] {
    Directory out;
    (void)out.apply(change(Kind::vpc, "", "", encode_body(VpcSettings{"r", {"10.0.0.0/16"}, true, true})));
    (void)out.apply(change(Kind::zone, "", "", encode_body(Zone{5})));
    (void)out.apply(
        change(Kind::service, "a", "", encode_body(Service{false, {kTypeA, kTypeSrv, kTypeAaaa}, {1, 1, 1}})));
    for (const char* id : {"i", "j"})
      (void)out.apply(change(Kind::instance, "a", id, encode_body(Instance{"10.0.0.1", "::1", 80})));
    (void)out.apply(change(Kind::service, "c", "", encode_body(Service{true, {kTypeCname}, {1}})));
    (void)out.apply(change(Kind::instance, "c", "i", encode_body(Instance{.cname = "out.example"})));
    return out;
  }();
  return made;
}

void from_task(std::string_view bytes) {
  Query query;
  if (parse_query(bytes, query) != Parsed::ok) return;
  static std::array<char, kTcpBytesMax> out;
  Prng random(1);
  for (const bool tcp : {false, true}) {
    const Outcome outcome = answer(directory().find("v"), query, random, tcp, out.data(), out.size());
    if (outcome.verdict != Verdict::answered) continue;
    require(outcome.size >= kHeaderBytes && outcome.size <= (tcp ? out.size() : std::size_t{query.udp_bytes}));
    Answer read;
    require(parse_answer({out.data(), outcome.size}, query.question, read));
  }
}

void from_outside(std::string_view bytes) {
  const std::string asked = make_query(7, wire_name("c.z"), kTypeA);
  Query query;
  require(parse_query(asked, query) == Parsed::ok);
  const std::string next = make_query(7, wire_name("out.example"), kTypeA).substr(kHeaderBytes);
  Answer read;
  if (!answers_question(bytes, 7, next) || !parse_answer(bytes, next, read)) return;
  std::array<char, kUdpBytesPlain> out;
  Outcome chase{.verdict = Verdict::chase, .next = wire_name("out.example"), .alias = (bytes[3] & 0x40) != 0};
  if (!chase.alias) chase.chain = {{wire_name("c.z"), kTypeCname, 1, chase.next}};
  const std::size_t size = complete(query, chase, read, false, out.data(), out.size());
  Answer again;
  require(size <= out.size() && parse_answer({out.data(), size}, query.question, again));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) from_task(bytes);
  if (data[0] % 3 == 1) from_outside(bytes);
  if (data[0] % 3 == 2) {
    FrameReader reader;
    reader.append(bytes);
    Directory own;
    while (const auto frame = reader.next())
      for (const Change& one : frame->changes) (void)own.apply(one);
  }
  return 0;
}
