#include "resolver/answer.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace berth::resolver {
namespace {

constexpr size_t kChainMax = 8;

size_t room(const Query& query, bool tcp, size_t size) {
  return std::min(size, tcp ? kTcpBytesMax : std::min<size_t>(query.udp_bytes, kUdpBytesMax));
}

const std::string& data_of(const InstanceEntry& instance, uint16_t type) {
  static const std::string none;
  switch (type) {
    case kTypeA: return instance.a;
    case kTypeAaaa: return instance.aaaa;
    case kTypeSrv: return instance.srv;
    case kTypeCname: return instance.alias ? none : instance.cname;
    default: return none;
  }
}

// What of a service is answered, in random order: up to eight that are healthy, or, where none is, eight of the others;
// WEIGHTED: one, of all where none is healthy.
struct Choice {
  std::array<const InstanceEntry*, kAnswersMax> instances;
  size_t count = 0;
};
Choice choose(const ServiceEntry& service, Random& random) {
  const auto& from = service.healthy.empty() ? service.unhealthy : service.healthy;
  Choice choice;
  const size_t wanted = std::min(from.size(), service.value.weighted ? size_t{1} : kAnswersMax);
  // Floyd's sampling: `wanted` different places without touching the list.
  std::array<size_t, kAnswersMax> places;
  for (size_t j = from.size() - wanted; j < from.size(); ++j) {
    size_t place = random.below(j + 1);
    if (std::find(places.begin(), places.begin() + choice.count, place) != places.begin() + choice.count) place = j;
    places[choice.count++] = place;
  }
  for (size_t i = choice.count; i > 1; --i) std::swap(places[i - 1], places[random.below(i)]);
  for (size_t i = 0; i < choice.count; ++i) choice.instances[i] = from[places[i]];
  return choice;
}

// "ip-10-0-0-5" of the label; the length is its first byte.
std::optional<Ipv4> address_of_label(std::string_view label) {
  if (!label.starts_with("ip-")) return std::nullopt;
  std::string text(label.substr(3));
  std::replace(text.begin(), text.end(), '-', '.');
  return parse_ipv4(text);
}

// d.c.b.a.in-addr.arpa
std::optional<Ipv4> address_of_reverse(std::string_view name) {
  static const std::string suffix = wire_name("in-addr.arpa");
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    if (name.empty()) return std::nullopt;
    const auto length = static_cast<unsigned char>(name[0]);
    uint32_t byte = 0;
    const char* end = name.data() + 1 + length;
    const auto read = std::from_chars(name.data() + 1, end, byte);
    if (read.ec != std::errc{} || read.ptr != end || byte > 255 || (length > 1 && name[1] == '0')) return std::nullopt;
    value |= byte << (8 * i);
    name.remove_prefix(1 + length);
  }
  return name.empty() ? std::optional(Ipv4{value}) : std::nullopt;
}

bool in_vpc(const VpcEntry& vpc, Ipv4 address) {
  return std::any_of(vpc.cidrs.begin(), vpc.cidrs.end(), [&](const Ipv4Network& n) { return n.contains(address); });
}

class Answering {
 public:
  Answering(const VpcEntry& vpc, const Query& query, Random& random, char* out, size_t size)
      : vpc_(vpc), query_(query), random_(random), out_(out), size_(size), writer_(out, size), name_(query.name()) {}

  Outcome run() {
    for (size_t hop = 0; hop <= kChainMax; ++hop) {
      const ZoneEntry* zone = vpc_.zone_of(name_);
      if (!zone) return outside_zones();
      const NameEntry* found = zone->find(name_);
      if (!found) return negative(*zone, kNoSuchName);
      const Choice choice = found->service ? choose(*found->service, random_) : Choice{};
      if (follow(found, choice)) continue;
      begin(kNoError);
      if (found->service) write_service(*found->service, choice);
      if (found->instance) {
        write(kTypeA, found->ttl_s, found->instance->a);
        write(kTypeAaaa, found->ttl_s, found->instance->aaaa);
      }
      if (name_ == zone->apex()) write_apex(*zone);
      if (!wrote_) write_soa(*zone);
      return end();
    }
    outcome_.size = write_error(query_, kServerFailure, out_, size_);  // names that lead to each other
    return std::move(outcome_);
  }

 private:
  bool asks(uint16_t type) const { return query_.type == type || query_.type == kTypeAny; }

  // Goes on to where a CNAME or an alias leads; name_ is there then.
  bool follow(const NameEntry* found, const Choice& choice) {
    if (!found->service || choice.count == 0 || choice.instances[0]->cname.empty()) return false;
    const InstanceEntry& instance = *choice.instances[0];
    const auto ttl_s = found->service->ttl_s_of(instance.alias ? query_.type : kTypeCname);
    if (!ttl_s || (!instance.alias && asks(kTypeCname))) return false;
    if (instance.alias)
      alias_ = true;
    else if (!alias_)
      outcome_.chain.push_back({std::string(name_), kTypeCname, *ttl_s, instance.cname});
    name_ = instance.cname;
    return true;
  }

  void begin(uint8_t code) {
    writer_.begin(query_, code, outcome_.chain.empty());
    for (const Record& record : outcome_.chain) writer_.record_of(record.owner, record.type, record.ttl_s, record.data);
  }

  void write(uint16_t type, uint32_t ttl_s, std::string_view data) {
    if (!asks(type) || data.empty()) return;
    wrote_ = true;
    if (outcome_.chain.empty())
      writer_.record(type, ttl_s, data);
    else
      writer_.record_of(name_, type, ttl_s, data);
  }

  void write_service(const ServiceEntry& service, const Choice& choice) {
    for (size_t i = 0; i < service.value.types.size() && i < service.value.ttls_s.size(); ++i)
      for (size_t j = 0; j < choice.count; ++j)
        write(service.value.types[i], service.value.ttls_s[i], data_of(*choice.instances[j], service.value.types[i]));
  }

  void write_apex(const ZoneEntry& zone) {
    static const std::string server = wire_name("ns-1536.awsdns-00.co.uk");
    write(kTypeSoa, zone.soa_ttl_s(), zone.soa());
    write(kTypeNs, 172'800, server);
  }

  void write_soa(const ZoneEntry& zone) {
    writer_.begin_authority();
    writer_.record_of(zone.apex(), kTypeSoa, zone.soa_ttl_s(), zone.soa());
  }

  Outcome negative(const ZoneEntry& zone, uint8_t code) {
    begin(code);
    write_soa(zone);
    return end();
  }

  Outcome end() {
    outcome_.size = writer_.end(query_);
    return std::move(outcome_);
  }

  // Names of interfaces, and what is asked outside.
  Outcome outside_zones() {
    if (const auto host = vpc_.hosts.find(name_); host != vpc_.hosts.end()) {
      begin(kNoError);
      write(kTypeA, kHostTtlS, host->second);
      return end();
    }
    if (name_.size() > vpc_.compute_domain.size() && name_.ends_with(vpc_.compute_domain)) {
      const auto length = static_cast<unsigned char>(name_[0]);
      const auto address = address_of_label(name_.substr(1, length));
      if (size_t{1} + length + vpc_.compute_domain.size() == name_.size() && address && in_vpc(vpc_, *address)) {
        begin(kNoError);
        write(kTypeA, kHostTtlS, address_data(address->value));
        return end();
      }
    }
    if (const auto address = address_of_reverse(name_); address && in_vpc(vpc_, *address)) {
      begin(kNoError);
      std::string label = "ip-" + address->to_string();
      std::replace(label.begin(), label.end(), '.', '-');
      write(kTypePtr, kHostTtlS, static_cast<char>(label.size()) + label + vpc_.compute_domain);
      return end();
    }
    outcome_.verdict = outcome_.chain.empty() && !alias_ ? Verdict::forward : Verdict::chase;
    outcome_.next = name_;
    outcome_.alias = alias_;
    return std::move(outcome_);
  }

  const VpcEntry& vpc_;
  const Query& query_;
  Random& random_;
  char* out_;
  size_t size_;
  MessageWriter writer_;
  std::string_view name_;
  Outcome outcome_;
  bool alias_ = false;
  bool wrote_ = false;
};

}  // namespace

Outcome answer(const VpcEntry* vpc, const Query& query, Random& random, bool tcp, char* out, size_t size) {
  size = room(query, tcp, size);
  if (query.edns_version != 0) return {.size = write_error(query, kBadVersion, out, size)};
  if (query.query_class != 1) return {.size = write_error(query, kRefused, out, size)};
  if (!vpc || !vpc->has_names()) return {.verdict = Verdict::forward};
  return Answering(*vpc, query, random, out, size).run();
}

size_t complete(const Query& query, const Outcome& chase, const Answer& outside, bool tcp, char* out, size_t size) {
  MessageWriter writer(out, room(query, tcp, size));
  // NXDOMAIN is of the last name of a chain, but an alias's own name exists.
  const bool missing = outside.code == kNoSuchName && chase.alias;
  writer.begin(query, missing ? kNoError : outside.code, false);
  for (const Record& record : chase.chain) writer.record_of(record.owner, record.type, record.ttl_s, record.data);
  for (const Record& record : outside.records) {
    if (!chase.alias)
      writer.record_of(record.owner, record.type, record.ttl_s, record.data);
    else if (record.type == query.type)
      writer.record(record.type, record.ttl_s, record.data);
  }
  return writer.end(query);
}

}  // namespace berth::resolver
