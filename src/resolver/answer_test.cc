#include "resolver/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <set>

namespace berth::resolver {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Change vpc(bool support = true, bool hostnames = true) {
  return {.kind = Kind::vpc,
          .vpc = "vpc-1",
          .body = encode_body(VpcSettings{"eu-central-1", {"10.0.0.0/16", "100.64.0.0/24"}, support, hostnames})};
}
Change zone(const std::string& name, uint32_t soa_ttl_s = 15) {
  return {.kind = Kind::zone, .vpc = "vpc-1", .zone = name, .body = encode_body(Zone{soa_ttl_s})};
}
Change service(const std::string& zone, const std::string& name, const Service& value) {
  return {.kind = Kind::service, .vpc = "vpc-1", .zone = zone, .service = name, .body = encode_body(value)};
}
Change instance(const std::string& zone, const std::string& service, const std::string& id, const Instance& value) {
  return {
      .kind = Kind::instance, .vpc = "vpc-1", .zone = zone, .service = service, .id = id, .body = encode_body(value)};
}
Change erased(Change change) {
  change.erased = true;
  change.body.clear();
  return change;
}

class AnswerTest : public testing::Test {
 protected:
  AnswerTest() { tell({vpc(), zone("corp.local"), service("corp.local", "web", {false, {kTypeA}, {60}})}); }
  void tell(const std::vector<Change>& changes) {
    for (const Change& change : changes) EXPECT_TRUE(directory.apply(change));
  }
  void add_web(const std::string& id, const std::string& address, bool healthy = true) {
    tell({instance("corp.local", "web", id, {.ipv4 = address, .healthy = healthy})});
  }
  // The message of a question; with EDNS where `udp_bytes` is not 0.
  std::string question(const std::string& name, uint16_t type, uint16_t udp_bytes = 0) {
    std::string bytes = make_query(0x1234, wire_name(name), type);
    if (udp_bytes == 0) return bytes;
    bytes[11] = 1;
    return bytes + std::string("\0\0\x29", 3) + static_cast<char>(udp_bytes >> 8) + static_cast<char>(udp_bytes) +
           std::string(6, '\0');
  }
  Outcome ask_bytes(const std::string& bytes, bool tcp = false) {
    asked = bytes;
    EXPECT_EQ(parse_query(asked, query), Parsed::ok);
    const Outcome outcome = answer(directory.find("vpc-1"), query, random, tcp, out.data(), out.size());
    size = outcome.size;
    parsed = {};
    if (outcome.verdict == Verdict::answered) {
      EXPECT_TRUE(parse_answer({out.data(), size}, query.question, parsed));
    }
    return outcome;
  }
  Outcome ask(const std::string& name, uint16_t type = kTypeA, uint16_t udp_bytes = 0) {
    return ask_bytes(question(name, type, udp_bytes));
  }
  std::vector<std::string> data() const {
    std::vector<std::string> out_data;
    for (const Record& record : parsed.records) out_data.push_back(record.data);
    return out_data;
  }
  uint16_t authority() const { return static_cast<uint16_t>(out[8] << 8 | out[9]); }

  Directory directory;
  Prng random{7};
  std::string asked;
  Query query;
  std::array<char, kTcpBytesMax> out{};
  size_t size = 0;
  Answer parsed;
};

const std::string kOne = address_data(0x0A000001), kTwo = address_data(0x0A000002);

TEST_F(AnswerTest, AnswersAnAddress) {
  add_web("a", "10.0.0.1");
  ask("web.corp.local");
  EXPECT_THAT(data(), ElementsAre(kOne));
  EXPECT_EQ(parsed.records[0].ttl_s, 60u);
  EXPECT_EQ(authority(), 0);
}

TEST_F(AnswerTest, KeepsTheQuestionsCase) {
  add_web("a", "10.0.0.1");
  std::string mixed = question("web.corp.local", kTypeA);
  mixed[13] = 'W', mixed[18] = 'O';
  ask_bytes(mixed);
  EXPECT_THAT(data(), ElementsAre(kOne));
  EXPECT_EQ(std::string(out.data() + 12, query.question.size()), mixed.substr(12));
}

TEST_F(AnswerTest, TellsNoSuchNameFromNoSuchType) {
  add_web("a", "10.0.0.1");
  ask("nobody.corp.local");
  EXPECT_EQ(parsed.code, kNoSuchName);
  EXPECT_EQ(authority(), 1);
  ask("web.corp.local", kTypeAaaa);
  EXPECT_EQ(parsed.code, kNoError);
  EXPECT_THAT(data(), IsEmpty());
  EXPECT_EQ(authority(), 1);
  ask("corp.local");
  EXPECT_EQ(parsed.code, kNoError);
  EXPECT_EQ(authority(), 1);
}

TEST_F(AnswerTest, AServiceWithoutInstancesHasNoName) {
  ask("web.corp.local");
  EXPECT_EQ(parsed.code, kNoSuchName);
  add_web("a", "10.0.0.1");
  add_web("a", "10.0.0.2");  // takes the place of what it was
  ask("web.corp.local");
  EXPECT_THAT(data(), ElementsAre(kTwo));
  tell({erased(instance("corp.local", "web", "a", {}))});
  ask("web.corp.local");
  EXPECT_EQ(parsed.code, kNoSuchName);
}

TEST_F(AnswerTest, ANameBetweenNamesExists) {
  tell({service("corp.local", "_x._tcp", {false, {kTypeSrv}, {5}}),
        instance("corp.local", "_x._tcp", "i-1", {.ipv4 = "10.0.0.1", .port = 80})});
  ask("_tcp.corp.local");
  EXPECT_EQ(parsed.code, kNoError);
  ask("_x._tcp.corp.local", kTypeSrv);
  EXPECT_THAT(data(), ElementsAre(srv_data(1, 1, 80, wire_name("i-1._x._tcp.corp.local"))));
  ask("i-1._x._tcp.corp.local");
  EXPECT_THAT(data(), ElementsAre(kOne));
  tell({erased(service("corp.local", "_x._tcp", {}))});
  ask("_tcp.corp.local");
  EXPECT_EQ(parsed.code, kNoSuchName);
  ask("i-1._x._tcp.corp.local");
  EXPECT_EQ(parsed.code, kNoSuchName);
}

TEST_F(AnswerTest, MultivalueGivesEightHealthyOnesAndAllInTime) {
  for (int i = 1; i <= 20; ++i) add_web(std::to_string(i), "10.0.0." + std::to_string(i), i <= 12);
  std::set<std::string> seen;
  for (int round = 0; round < 200; ++round) {
    ask("web.corp.local");
    const auto records = data();
    EXPECT_EQ(std::set<std::string>(records.begin(), records.end()).size(), 8u);
    seen.insert(records.begin(), records.end());
  }
  EXPECT_EQ(seen.size(), 12u);
  for (const std::string& one : seen) EXPECT_LE(one[3], 12);
}

TEST_F(AnswerTest, WhereNoneIsHealthyAllCount) {
  add_web("a", "10.0.0.1", false);
  add_web("b", "10.0.0.2", false);
  ask("web.corp.local");
  EXPECT_EQ(data().size(), 2u);
}

TEST_F(AnswerTest, WeightedGivesOne) {
  tell({service("corp.local", "web", {true, {kTypeA}, {1}})});
  add_web("a", "10.0.0.1");
  add_web("b", "10.0.0.2");
  std::set<std::string> seen;
  for (int round = 0; round < 50; ++round) {
    ask("web.corp.local");
    ASSERT_EQ(data().size(), 1u);
    seen.insert(data()[0]);
  }
  EXPECT_EQ(seen.size(), 2u);
}

TEST_F(AnswerTest, TheLongestZoneAnswersAndNothingElse) {
  tell({zone("a.corp.local")});
  tell(
      {service("corp.local", "x.a", {false, {kTypeA}, {1}}), instance("corp.local", "x.a", "i", {.ipv4 = "10.0.0.1"})});
  ask("x.a.corp.local");
  EXPECT_EQ(parsed.code, kNoSuchName);
  tell({erased(zone("a.corp.local"))});
  ask("x.a.corp.local");
  EXPECT_THAT(data(), ElementsAre(kOne));
  EXPECT_EQ(ask("example.com").verdict, Verdict::forward);
  EXPECT_EQ(ask("local").verdict, Verdict::forward);
}

TEST_F(AnswerTest, ACnameIsFollowed) {
  add_web("a", "10.0.0.1");
  tell({service("corp.local", "in", {true, {kTypeCname}, {9}}),
        instance("corp.local", "in", "i", {.cname = "Web.corp.local"}),
        service("corp.local", "out", {true, {kTypeCname}, {9}}),
        instance("corp.local", "out", "i", {.cname = "www.example.com"})});
  ask("in.corp.local");
  EXPECT_THAT(data(), ElementsAre(wire_name("web.corp.local"), kOne));
  EXPECT_EQ(parsed.records[1].owner, wire_name("web.corp.local"));
  ask("in.corp.local", kTypeCname);
  EXPECT_THAT(data(), ElementsAre(wire_name("web.corp.local")));

  const Outcome chase = ask("out.corp.local");
  ASSERT_EQ(chase.verdict, Verdict::chase);
  EXPECT_EQ(chase.next, wire_name("www.example.com"));
  Answer outside;
  outside.records = {{wire_name("www.example.com"), kTypeA, 3, kTwo}};
  size = complete(query, chase, outside, false, out.data(), out.size());
  ASSERT_TRUE(parse_answer({out.data(), size}, query.question, parsed));
  EXPECT_THAT(data(), ElementsAre(wire_name("www.example.com"), kTwo));
}

TEST_F(AnswerTest, AnAliasGivesItsTargetsAddressesAsItsOwn) {
  tell({service("corp.local", "lb", {true, {kTypeA}, {60}}),
        instance("corp.local", "lb", "i", {.alias = "lb-1.elb.amazonaws.com"})});
  const Outcome chase = ask("lb.corp.local");
  ASSERT_EQ(chase.verdict, Verdict::chase);
  Answer outside;
  outside.records = {{wire_name("lb-1.elb.amazonaws.com"), kTypeCname, 3, wire_name("x.example")},
                     {wire_name("x.example"), kTypeA, 3, kTwo}};
  size = complete(query, chase, outside, false, out.data(), out.size());
  ASSERT_TRUE(parse_answer({out.data(), size}, query.question, parsed));
  EXPECT_THAT(data(), ElementsAre(kTwo));
  EXPECT_EQ(parsed.records[0].owner, wire_name("lb.corp.local"));
}

TEST_F(AnswerTest, NamesThatLeadToEachOtherEnd) {
  tell({service("corp.local", "a", {true, {kTypeCname}, {9}}),
        instance("corp.local", "a", "i", {.cname = "b.corp.local"}),
        service("corp.local", "b", {true, {kTypeCname}, {9}}),
        instance("corp.local", "b", "i", {.cname = "a.corp.local"})});
  ask("a.corp.local");
  EXPECT_EQ(parsed.code, kServerFailure);
}

TEST_F(AnswerTest, InterfacesHaveNames) {
  ask("ip-10-0-0-1.eu-central-1.compute.internal");
  EXPECT_THAT(data(), ElementsAre(kOne));
  ask("1.0.0.10.in-addr.arpa", kTypePtr);
  EXPECT_THAT(data(), ElementsAre(wire_name("ip-10-0-0-1.eu-central-1.compute.internal")));
  EXPECT_EQ(ask("ip-10-1-0-1.eu-central-1.compute.internal").verdict, Verdict::forward);
  EXPECT_EQ(ask("1.0.1.10.in-addr.arpa", kTypePtr).verdict, Verdict::forward);
  const Change host{
      .kind = Kind::host, .vpc = "vpc-1", .zone = "ec2-1-2-3-4.eu-central-1.compute.amazonaws.com", .body = kTwo};
  tell({host});
  ask("ec2-1-2-3-4.eu-central-1.compute.amazonaws.com");
  EXPECT_THAT(data(), ElementsAre(kTwo));
  tell({erased(host)});
  EXPECT_EQ(ask("ec2-1-2-3-4.eu-central-1.compute.amazonaws.com").verdict, Verdict::forward);
}

TEST_F(AnswerTest, WithoutHostNamesAllIsAskedOutside) {
  add_web("a", "10.0.0.1");
  tell({vpc(true, false)});
  EXPECT_EQ(ask("web.corp.local").verdict, Verdict::forward);
  EXPECT_EQ(ask("ip-10-0-0-1.eu-central-1.compute.internal").verdict, Verdict::forward);
}

TEST_F(AnswerTest, WhatDoesNotFitIsTruncated) {
  tell({service("corp.local", "many", {false, {kTypeSrv}, {5}})});
  for (int i = 1; i <= 8; ++i)
    tell({instance("corp.local", "many", std::string(50, 'x') + std::to_string(i), {.ipv4 = "10.0.0.1", .port = 80})});
  ask("many.corp.local", kTypeSrv);
  EXPECT_TRUE(parsed.truncated);
  EXPECT_THAT(data(), IsEmpty());
  ask("many.corp.local", kTypeSrv, 1232);
  EXPECT_FALSE(parsed.truncated);
  EXPECT_EQ(data().size(), 8u);
  ask_bytes(question("many.corp.local", kTypeSrv), true);
  EXPECT_EQ(data().size(), 8u);
}

TEST_F(AnswerTest, EdnsIsAnsweredWithEdns) {
  add_web("a", "10.0.0.1");
  ask("web.corp.local", kTypeA, 1232);
  EXPECT_EQ(out[11], 1);
  std::string newer = question("web.corp.local", kTypeA, 1232);
  newer[newer.size() - 5] = 1;  // a version that nobody has
  ask_bytes(newer);
  EXPECT_EQ(static_cast<unsigned char>(out[size - 6]), 1);  // BADVERS, its upper bits
  EXPECT_THAT(data(), IsEmpty());
}

TEST(Query, RefusesWhatIsNone) {
  Query query;
  EXPECT_EQ(parse_query("short", query), Parsed::drop);
  const std::string good = make_query(1, wire_name("a.b"), kTypeA);
  std::string bad = good;
  bad[2] = static_cast<char>(0x80);
  EXPECT_EQ(parse_query(bad, query), Parsed::drop);  // an answer
  bad = good, bad[2] = 0x28;
  EXPECT_EQ(parse_query(bad, query), Parsed::not_implemented);
  bad = good, bad[5] = 2;
  EXPECT_EQ(parse_query(bad, query), Parsed::format_error);
  bad = good, bad[12] = static_cast<char>(0xC0);
  EXPECT_EQ(parse_query(bad, query), Parsed::format_error);
  EXPECT_EQ(parse_query(good.substr(0, good.size() - 1), query), Parsed::format_error);
  bad = good, bad[11] = 100;
  EXPECT_EQ(parse_query(bad, query), Parsed::format_error);
}

TEST(WireName, HasDnsLimits) {
  EXPECT_EQ(wire_name("a.B."), std::string("\1a\1b\0", 5));
  EXPECT_EQ(wire_name("a..b"), "");
  EXPECT_EQ(wire_name(std::string(64, 'a')), "");
  EXPECT_EQ(wire_name(""), "");
  std::string longest;
  for (int i = 0; i < 128; ++i) longest += "a.";
  EXPECT_EQ(wire_name(longest), "");
}

TEST(Frames, AreCutFromAStream) {
  Frame frame;
  frame.version = 7;
  frame.changes = {vpc(), zone("x")};
  const std::string bytes = encode_frame(frame) + encode_frame(frame);
  FrameReader reader;
  for (const char c : bytes.substr(0, bytes.size() - 1)) reader.append({&c, 1});
  const auto first = reader.next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->changes, frame.changes);
  EXPECT_FALSE(reader.next());
  reader.append(bytes.substr(bytes.size() - 1));
  EXPECT_TRUE(reader.next());
  reader.append("\xFF\xFF\xFF\xFF");
  EXPECT_FALSE(reader.next());
  EXPECT_TRUE(reader.broken());
}

}  // namespace
}  // namespace berth::resolver
