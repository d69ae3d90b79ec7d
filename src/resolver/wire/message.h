// DNS messages (RFC 1035, 6891): a question read from the wire, an answer written to it, records read from another server's
// answer. Pure. Names are in wire form (length and label, the last length 0), in lower case where they are compared.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace berth::resolver {

inline constexpr size_t kNameBytesMax = 255;
inline constexpr size_t kHeaderBytes = 12;
inline constexpr size_t kUdpBytesPlain = 512;  // without EDNS
inline constexpr size_t kUdpBytesMax = 4096;   // of an answer, however much the client says that it takes
inline constexpr size_t kTcpBytesMax = 65'535;

inline constexpr uint8_t kNoError = 0;
inline constexpr uint8_t kFormatError = 1;
inline constexpr uint8_t kServerFailure = 2;
inline constexpr uint8_t kNoSuchName = 3;
inline constexpr uint8_t kNotImplemented = 4;
inline constexpr uint8_t kRefused = 5;
inline constexpr uint8_t kBadVersion = 16;  // extended: its upper bits are in the OPT record

struct Query {
  std::string_view bytes;     // the whole message, borrowed
  std::string_view question;  // name, type and class as they came: the answer repeats their letters' case
  std::array<char, kNameBytesMax> lower;
  size_t name_size = 0;
  uint16_t id = 0;
  uint16_t flags = 0;
  uint16_t type = 0;
  uint16_t query_class = 0;
  bool edns = false;
  uint8_t edns_version = 0;
  uint16_t udp_bytes = kUdpBytesPlain;

  std::string_view name() const { return {lower.data(), name_size}; }
  bool recursion_desired() const { return (flags & 0x0100) != 0; }
};

enum class Parsed {
  ok,
  drop,             // no question at all: an answer, or too short
  format_error,     // is answered so
  not_implemented,  // another opcode
};
Parsed parse_query(std::string_view bytes, Query& query);

// Writes an answer in front of a fixed end. What does not fit sets full() and writes nothing more.
class MessageWriter {
 public:
  MessageWriter(char* begin, size_t size) : begin_(begin), size_(size) {}

  // The header and the question. `code` may be extended where the query has EDNS.
  void begin(const Query& query, uint8_t code, bool authoritative);
  // A record whose owner is the question's name.
  void record(uint16_t type, uint32_t ttl_s, std::string_view data);
  // A record of another name, in wire form.
  void record_of(std::string_view owner, uint16_t type, uint32_t ttl_s, std::string_view data);
  void begin_authority() { section_ = 1; }
  // Adds OPT where the query has it, writes the counts and, where not all fitted, the truncated form of the answer.
  size_t end(const Query& query);
  bool full() const { return full_; }
  uint16_t answers() const { return counts_[0]; }

 private:
  void bytes(std::string_view data) {
    if (at_ + data.size() > size_) {
      full_ = true;
      return;
    }
    std::memcpy(begin_ + at_, data.data(), data.size());
    at_ += data.size();
  }
  void u16(uint16_t value) {
    const char two[2] = {static_cast<char>(value >> 8), static_cast<char>(value)};
    bytes({two, 2});
  }
  void u32(uint32_t value) {
    u16(static_cast<uint16_t>(value >> 16));
    u16(static_cast<uint16_t>(value));
  }
  void rest_of_record(uint16_t type, uint32_t ttl_s, std::string_view data);
  void put_u16(size_t at, uint16_t value) {
    begin_[at] = static_cast<char>(value >> 8);
    begin_[at + 1] = static_cast<char>(value);
  }

  char* begin_;
  size_t size_;
  size_t at_ = 0;
  size_t question_end_ = 0;
  uint8_t code_ = 0;
  int section_ = 0;
  std::array<uint16_t, 2> counts_ = {};
  bool full_ = false;
};

// Header, question and code only.
size_t write_error(const Query& query, uint8_t code, char* begin, size_t size);
// For a message of which only the header could be read.
size_t write_header_error(std::string_view query, uint8_t code, char* begin, size_t size);

struct Record {
  std::string owner;  // wire form, not lowered
  uint16_t type = 0;
  uint32_t ttl_s = 0;
  std::string data;  // names in it are whole
};
struct Answer {
  uint8_t code = 0;
  bool truncated = false;
  std::vector<Record> records;  // of the answer section: A, AAAA, CNAME, SRV, PTR; others are left out
};
// False where it is no answer to `question` (its letters' case apart), or broken.
bool parse_answer(std::string_view bytes, std::string_view question, Answer& answer);
// Whether a server's message answers this id and question. What a forwarder looks at before it believes.
bool answers_question(std::string_view bytes, uint16_t id, std::string_view question);

// "web.corp.local" as wire form, lower case; empty where it cannot be: a label that is empty or too long.
std::string wire_name(std::string_view text);
// The question's name and type in a query of our own.
std::string make_query(uint16_t id, std::string_view wire_name, uint16_t type);

std::string address_data(uint32_t address);
std::string srv_data(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target_wire);

}  // namespace berth::resolver
