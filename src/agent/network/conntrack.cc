#include "agent/network/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <cerrno>
#include <vector>

namespace berth::network {
namespace {

constexpr uint16_t kind(uint16_t message) { return static_cast<uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | message); }
constexpr nfgenmsg kHeader{AF_INET, NFNETLINK_V0, 0};

Attributes inside(std::string_view nest) { return {nest.data(), nest.size()}; }

int port(const Attributes& protocol, uint16_t type) {
  const std::string_view value = protocol.get(type);
  uint16_t number = 0;
  if (value.size() == sizeof number) std::memcpy(&number, value.data(), sizeof number);
  return ntohs(number);
}

Ipv4 address(const Attributes& ip, uint16_t type) { return {ntohl(ip.u32(type))}; }

TrackedFlow parse(std::string_view body) {
  TrackedFlow flow;
  if (body.size() < sizeof(nfgenmsg)) return flow;
  const Attributes entry = inside(body.substr(sizeof(nfgenmsg)));
  flow.tuple = entry.get(CTA_TUPLE_ORIG);
  flow.id = entry.u32(CTA_ID);
  flow.mark = ntohl(entry.u32(CTA_MARK));
  const Attributes first = inside(flow.tuple), reply = inside(entry.get(CTA_TUPLE_REPLY));
  const Attributes ip = inside(first.get(CTA_TUPLE_IP)), reply_ip = inside(reply.get(CTA_TUPLE_IP));
  const Attributes protocol = inside(first.get(CTA_TUPLE_PROTO)), reply_protocol = inside(reply.get(CTA_TUPLE_PROTO));
  const std::string_view number = protocol.get(CTA_PROTO_NUM);
  flow.protocol = number.empty() ? 0 : static_cast<unsigned char>(number[0]);
  flow.source = address(ip, CTA_IP_V4_SRC);
  flow.destination = address(ip, CTA_IP_V4_DST);
  flow.source_port = port(protocol, CTA_PROTO_SRC_PORT);
  flow.reply_source = address(reply_ip, CTA_IP_V4_SRC);
  flow.reply_destination = address(reply_ip, CTA_IP_V4_DST);
  flow.reply_source_port = port(reply_protocol, CTA_PROTO_SRC_PORT);
  return flow;
}

}  // namespace

Result<int> end_flows(NetlinkSocket& socket, const std::function<bool(const TrackedFlow&)>& wanted) {
  std::vector<TrackedFlow> ending;
  NetlinkBatch request;
  request.message(kind(IPCTNL_MSG_CT_GET), NLM_F_DUMP, kHeader, "list connections");
  auto listed = socket.query(request, [&](const nlmsghdr&, std::string_view body) {
    TrackedFlow flow = parse(body);
    if (wanted(flow)) ending.push_back(std::move(flow));
  });
  if (!listed) return tl::unexpected(listed.error());
  for (const TrackedFlow& flow : ending) {
    NetlinkBatch batch;
    batch.message(kind(IPCTNL_MSG_CT_DELETE), 0, kHeader, "end a connection");
    batch.attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, flow.tuple.data(), flow.tuple.size());
    batch.attribute_u32(CTA_ID, flow.id);
    // Gone meanwhile: as wanted.
    if (auto sent = socket.send(batch, {ENOENT}); !sent) return tl::unexpected(sent.error());
  }
  return static_cast<int>(ending.size());
}

}  // namespace berth::network
