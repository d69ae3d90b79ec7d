#include "resolver/wire/message.h"

#include <algorithm>

#include "resolver/zones/zones.h"

namespace berth::resolver {
namespace {

constexpr int kPointersMax = 32;        // in one name: more is a loop, or somebody who wants one
constexpr uint16_t kAdditionalMax = 8;  // records behind a question: OPT, and perhaps a signature

uint16_t u16_at(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 | static_cast<unsigned char>(bytes[at + 1]));
}
uint32_t u32_at(std::string_view bytes, size_t at) { return uint32_t{u16_at(bytes, at)} << 16 | u16_at(bytes, at + 2); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

// The name at `at`, which moves behind it; whole where it was compressed. Pointers only lead back.
bool read_name(std::string_view bytes, size_t& at, std::string* out) {
  size_t here = at;
  size_t size = 0;
  int pointers = 0;
  bool moved = false;
  while (true) {
    if (here >= bytes.size()) return false;
    const auto length = static_cast<unsigned char>(bytes[here]);
    if ((length & 0xC0) == 0xC0) {
      if (here + 2 > bytes.size() || ++pointers > kPointersMax) return false;
      const size_t to = u16_at(bytes, here) & 0x3FFF;
      if (!moved) at = here + 2;
      moved = true;
      if (to >= here) return false;
      here = to;
      continue;
    }
    if ((length & 0xC0) != 0 || here + 1 + length > bytes.size()) return false;
    size += 1 + length;
    if (size > kNameBytesMax) return false;
    if (out) out->append(bytes.substr(here, 1 + length));
    here += 1 + length;
    if (length == 0) break;
  }
  if (!moved) at = here;
  return true;
}

// The question section's one entry; its end, or 0.
size_t question_end(std::string_view bytes) {
  size_t at = kHeaderBytes;
  if (bytes.size() < kHeaderBytes || u16_at(bytes, 4) != 1 || !read_name(bytes, at, nullptr)) return 0;
  return at + 4 <= bytes.size() ? at + 4 : 0;
}

bool read_additional(std::string_view bytes, size_t at, Query& query) {
  const uint16_t count = u16_at(bytes, 10);
  if (count > kAdditionalMax) return false;
  for (uint16_t i = 0; i < count; ++i) {
    const size_t owner = at;
    if (!read_name(bytes, at, nullptr) || at + 10 > bytes.size()) return false;
    const uint16_t type = u16_at(bytes, at);
    const uint16_t size = u16_at(bytes, at + 8);
    if (at + 10 + size > bytes.size()) return false;
    if (type == kTypeOpt) {
      if (query.edns || bytes[owner] != 0) return false;  // RFC 6891: one, of the root
      query.edns = true;
      query.udp_bytes = std::max<uint16_t>(kUdpBytesPlain, u16_at(bytes, at + 2));
      query.edns_version = static_cast<uint8_t>(bytes[at + 5]);
    }
    at += 10 + size;
  }
  return true;
}

}  // namespace

Parsed parse_query(std::string_view bytes, Query& query) {
  query.bytes = bytes;
  query.edns = false;
  query.udp_bytes = kUdpBytesPlain;
  if (bytes.size() < kHeaderBytes) return Parsed::drop;
  query.id = u16_at(bytes, 0);
  query.flags = u16_at(bytes, 2);
  if ((query.flags & 0x8000) != 0) return Parsed::drop;  // to answer answers would make two servers talk for ever
  if ((query.flags & 0x7800) != 0) return Parsed::not_implemented;
  if (u16_at(bytes, 4) != 1 || u16_at(bytes, 6) != 0 || u16_at(bytes, 8) != 0) return Parsed::format_error;
  size_t at = kHeaderBytes;
  while (true) {
    if (at >= bytes.size()) return Parsed::format_error;
    const auto length = static_cast<unsigned char>(bytes[at]);
    if (length > 63 || at + 1 + length > bytes.size()) return Parsed::format_error;  // nothing to point at yet
    if (at - kHeaderBytes + 1 + length > kNameBytesMax) return Parsed::format_error;
    query.lower[at - kHeaderBytes] = bytes[at];
    for (size_t i = at + 1; i <= at + length; ++i) query.lower[i - kHeaderBytes] = lower(bytes[i]);
    at += 1 + length;
    if (length == 0) break;
  }
  if (at + 4 > bytes.size()) return Parsed::format_error;
  query.name_size = at - kHeaderBytes;
  query.type = u16_at(bytes, at);
  query.query_class = u16_at(bytes, at + 2);
  query.question = bytes.substr(kHeaderBytes, at + 4 - kHeaderBytes);
  return read_additional(bytes, at + 4, query) ? Parsed::ok : Parsed::format_error;
}

void MessageWriter::begin(const Query& query, uint8_t code, bool authoritative) {
  code_ = code;
  u16(query.id);
  // An answer; recursion is available, and what was desired is repeated, as "checking disabled" is.
  u16(static_cast<uint16_t>(0x8080 | (query.flags & 0x0110) | (authoritative ? 0x0400 : 0) | (code & 15)));
  u16(1);
  u16(0);
  u32(0);
  bytes(query.question);
  question_end_ = at_;
}

void MessageWriter::record(uint16_t type, uint32_t ttl_s, std::string_view data) {
  if (full_) return;
  u16(0xC000 | kHeaderBytes);
  rest_of_record(type, ttl_s, data);
}

void MessageWriter::record_of(std::string_view owner, uint16_t type, uint32_t ttl_s, std::string_view data) {
  if (full_) return;
  bytes(owner);
  rest_of_record(type, ttl_s, data);
}

void MessageWriter::rest_of_record(uint16_t type, uint32_t ttl_s, std::string_view data) {
  u16(type);
  u16(1);
  u32(ttl_s);
  u16(static_cast<uint16_t>(data.size()));
  bytes(data);
  ++counts_[static_cast<size_t>(section_)];
}

size_t MessageWriter::end(const Query& query) {
  constexpr size_t kOptBytes = 11;
  if (query.edns && at_ + kOptBytes > size_) full_ = true;
  if (full_) {  // the client asks again by TCP; half a set of records would be believed
    at_ = question_end_;
    counts_ = {};
    begin_[2] = static_cast<char>(begin_[2] | 0x02);
    full_ = false;
  }
  put_u16(6, counts_[0]);
  put_u16(8, counts_[1]);
  if (query.edns && at_ + kOptBytes <= size_) {
    put_u16(10, 1);
    bytes({"\0", 1});
    u16(kTypeOpt);
    u16(kUdpBytesMax);
    u32(static_cast<uint32_t>(code_ >> 4) << 24);
    u16(0);
  }
  return at_;
}

size_t write_error(const Query& query, uint8_t code, char* begin, size_t size) {
  MessageWriter writer(begin, size);
  writer.begin(query, code, false);
  return writer.end(query);
}

size_t write_header_error(std::string_view query, uint8_t code, char* begin, size_t size) {
  if (query.size() < kHeaderBytes || size < kHeaderBytes) return 0;
  std::memset(begin, 0, kHeaderBytes);
  begin[0] = query[0];
  begin[1] = query[1];
  begin[2] = static_cast<char>(0x80 | (query[2] & 0x79));  // the opcode and "recursion desired" as they came
  begin[3] = static_cast<char>(0x80 | code);
  return kHeaderBytes;
}

bool answers_question(std::string_view bytes, uint16_t id, std::string_view question) {
  if (bytes.size() < kHeaderBytes || u16_at(bytes, 0) != id || (u16_at(bytes, 2) & 0xF800) != 0x8000) return false;
  // Some servers answer a refusal without repeating the question; the id and the socket's random port are then what is known.
  if (u16_at(bytes, 4) == 0) return (bytes[3] & 15) != 0;
  const size_t end = question_end(bytes);
  return end != 0 && equal_ignoring_case(bytes.substr(kHeaderBytes, end - kHeaderBytes), question);
}

bool parse_answer(std::string_view bytes, std::string_view question, Answer& answer) {
  if (bytes.size() < kHeaderBytes || !answers_question(bytes, u16_at(bytes, 0), question)) return false;
  answer.code = static_cast<uint8_t>(bytes[3] & 15);
  answer.truncated = (u16_at(bytes, 2) & 0x0200) != 0;
  answer.records.clear();
  size_t at = question_end(bytes);
  if (at == 0) return answer.code != 0;
  const uint16_t count = u16_at(bytes, 6);
  for (uint16_t i = 0; i < count; ++i) {
    Record record;
    if (!read_name(bytes, at, &record.owner) || at + 10 > bytes.size()) return false;
    record.type = u16_at(bytes, at);
    record.ttl_s = u32_at(bytes, at + 4);
    const uint16_t size = u16_at(bytes, at + 8);
    at += 10;
    if (at + size > bytes.size()) return false;
    size_t inner = at;
    if (record.type == kTypeSrv) {
      if (size < 7) return false;
      record.data = bytes.substr(at, 6);
      inner += 6;
    }
    if (record.type == kTypeCname || record.type == kTypePtr || record.type == kTypeSrv) {
      if (!read_name(bytes, inner, &record.data) || inner != at + size) return false;
    } else if (record.type == kTypeA || record.type == kTypeAaaa) {
      if (size != (record.type == kTypeA ? 4 : 16)) return false;
      record.data = bytes.substr(at, size);
    }
    at += size;
    if (!record.data.empty()) answer.records.push_back(std::move(record));
  }
  return true;
}

std::string wire_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  std::string out;
  while (!text.empty()) {
    const size_t dot = std::min(text.find('.'), text.size());
    if (dot == 0 || dot > 63 || dot + 1 == text.size()) return {};
    out += static_cast<char>(dot);
    for (const char c : text.substr(0, dot)) out += lower(c);
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  if (out.empty() || out.size() + 1 > kNameBytesMax) return {};
  out += '\0';
  return out;
}

std::string make_query(uint16_t id, std::string_view wire_name, uint16_t type) {
  std::string out;
  const auto u16 = [&out](uint16_t value) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value);
  };
  u16(id), u16(0x0100), u16(1), u16(0), u16(0), u16(0);
  out += wire_name;
  u16(type), u16(1);
  return out;
}

std::string address_data(uint32_t address) {
  return {static_cast<char>(address >> 24), static_cast<char>(address >> 16), static_cast<char>(address >> 8),
          static_cast<char>(address)};
}

std::string srv_data(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target_wire) {
  std::string out;
  for (const uint16_t value : {priority, weight, port}) {
    out += static_cast<char>(value >> 8);
    out += static_cast<char>(value);
  }
  out += target_wire;
  return out;
}

}  // namespace berth::resolver
