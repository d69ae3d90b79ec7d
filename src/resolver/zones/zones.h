// What the resolver of a host knows, as values, and the frames by which the daemon tells it. Pure; both sides include it.
//
//   vpc ──┬─ settings (region, CIDRs, the two DNS attributes)
//         ├─ host: a public host name and the private address that it means inside
//         └─ zone (a private namespace) ── service ── instance
//
// The unit of a change is one of these: an instance that comes or goes is one small message however many there are. A frame
// carries changes and the store's revision after them; it is answered by that revision. A snapshot is many frames between
// snapshot_begin and snapshot_end; until the end the resolver answers from what it had.
//
//   on the stream:  u32 length | frame
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "taskdir/codec.h"

namespace berth::resolver {

struct VpcSettings {
  std::string region;
  std::vector<std::string> cidrs;
  bool dns_support = true;    // false: its resolver does not answer
  bool dns_hostnames = true;  // names of its own need both; else everything is asked outside
  bool operator==(const VpcSettings&) const = default;
  template <class A>
  void fields(A& a) {
    a(region, cidrs, dns_support, dns_hostnames);
  }
};

// Where the resolver answers: sockets of this network namespace, at these addresses, which it adds to the loopback link.
struct Listener {
  std::string namespace_path;
  std::vector<uint32_t> addresses;
  bool operator==(const Listener&) const = default;
  template <class A>
  void fields(A& a) {
    a(namespace_path, addresses);
  }
};

struct Zone {
  uint32_t soa_ttl_s = 15;  // how long a "no such name" may be kept
  bool operator==(const Zone&) const = default;
  template <class A>
  void fields(A& a) {
    a(soa_ttl_s);
  }
};

// Record types, RFC 1035 and its successors.
inline constexpr uint16_t kTypeA = 1;
inline constexpr uint16_t kTypeNs = 2;
inline constexpr uint16_t kTypeCname = 5;
inline constexpr uint16_t kTypeSoa = 6;
inline constexpr uint16_t kTypePtr = 12;
inline constexpr uint16_t kTypeAaaa = 28;
inline constexpr uint16_t kTypeSrv = 33;
inline constexpr uint16_t kTypeOpt = 41;
inline constexpr uint16_t kTypeAny = 255;

struct Service {
  bool weighted = false;  // else multivalue
  std::vector<uint16_t> types;
  std::vector<uint32_t> ttls_s;  // of each type
  bool operator==(const Service&) const = default;
  template <class A>
  void fields(A& a) {
    a(weighted, types, ttls_s);
  }
};

struct Instance {
  std::string ipv4;   // text; what is empty or no address gives no record
  std::string ipv6;   // text
  uint16_t port = 0;  // 0: none
  std::string cname;
  std::string alias;  // a name whose addresses are given under the service's own
  bool healthy = true;
  bool operator==(const Instance&) const = default;
  template <class A>
  void fields(A& a) {
    a(ipv4, ipv6, port, cname, alias, healthy);
  }
};

enum class Kind : uint8_t { vpc = 1, host, zone, service, instance, listener };

struct Change {
  Kind kind = Kind::vpc;
  std::string vpc;
  std::string zone;     // or a host's name
  std::string service;  // the name inside the zone: "web", "_x._tcp"
  std::string id;       // an instance's
  bool erased = false;
  std::string body;  // the value of the kind, or its address for a host; empty where it is erased
  bool operator==(const Change&) const = default;
  template <class A>
  void fields(A& a) {
    a(kind, vpc, zone, service, id, erased, body);
  }
};

template <class T>
std::string encode_body(const T& value) {
  std::string out;
  taskdir::Encoder(out).structure(value);
  return out;
}
template <class T>
std::optional<T> decode_body(std::string_view bytes) {
  T value;
  taskdir::Decoder decoder(bytes);
  value.fields(decoder);
  if (!decoder.ok()) return std::nullopt;
  return value;
}

enum class FrameKind : uint8_t {
  hello = 1,           // to the daemon, at once: the program's version of all this
  snapshot_begin = 2,  // to the resolver
  changes = 3,
  snapshot_end = 4,
  keep_listeners = 5,  // the VPCs that are; the sockets of all others are closed
  done = 6,            // to the daemon: everything up to `version` is answered from now on
  trouble = 7,         // to the daemon: `text` says what, `names` of which VPC
};

inline constexpr uint32_t kProtocolVersion = 1;
inline constexpr size_t kFrameBytesMax = 1 << 20;
inline constexpr size_t kFrameChangesMax = 1000;

struct Frame {
  FrameKind kind = FrameKind::changes;
  uint64_t version = 0;
  std::vector<Change> changes;
  std::vector<std::string> names;
  std::string text;
  template <class A>
  void fields(A& a) {
    a(kind, version, changes, names, text);
  }
};

// With its length before it.
std::string encode_frame(const Frame& frame);

// Cuts frames from a stream.
class FrameReader {
 public:
  // Nothing where a frame is not whole yet; broken() says that the stream makes no sense.
  void append(std::string_view bytes) { buffer_.append(bytes); }
  std::optional<Frame> next();
  bool broken() const { return broken_; }

 private:
  std::string buffer_;
  size_t read_ = 0;
  bool broken_ = false;
};

}  // namespace berth::resolver
