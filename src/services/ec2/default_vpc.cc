#include "services/ec2/default_vpc.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "records/read.h"

namespace berth::services::ec2 {
namespace {

namespace kinds = records::ec2_kinds;
using records::Scope;

constexpr int kSubnetPrefixBits = 4;  // 16 parts, of which each zone gets one

std::string new_id(std::string_view kind, Random& random) {
  return fmt::format("{}-{}", kind, new_hex_id(random, 17));
}

std::string suffix(const std::string& id) { return id.substr(id.find('-') + 1); }

bool is_private(const Ipv4Network& block) {
  static const std::array<Ipv4Network, 3> kPrivate{*parse_network("10.0.0.0/8"), *parse_network("172.16.0.0/12"),
                                                   *parse_network("192.168.0.0/16")};  // RFC 1918
  return std::any_of(kPrivate.begin(), kPrivate.end(), [&](const Ipv4Network& range) { return range.contains(block); });
}

// Of every region and account in this store: one machine's routes are one space.
std::vector<Ipv4Network> blocks_in_use(const state::Store& store, const Network& network) {
  std::vector<Ipv4Network> blocks;
  for (const std::string& route : network.taken)
    if (const auto block = parse_network(route)) blocks.push_back(*block);
  for (const auto& [key, vpc] : records::range<records::Vpc>(store, "ec2/vpc/"))
    if (const auto block = parse_network(vpc->cidr)) blocks.push_back(*block);
  // A default route overlaps everything and takes nothing.
  std::erase_if(blocks, [](const Ipv4Network& block) { return block.prefix == 0; });
  return blocks;
}

template <class R>
void put(state::Transaction& transaction, std::string_view kind, const Scope& scope, const R& record) {
  records::put(transaction, records::keys::ec2(kind, scope, record.id), record);
}

// What belongs to a default VPC beside its subnets and companions.
void make_gateway_and_options(const Scope& scope, const records::Vpc& vpc, state::Transaction& transaction) {
  records::InternetGateway gateway;
  gateway.id = vpc.internet_gateway_id;
  gateway.vpc_id = vpc.id;
  put(transaction, kinds::kInternetGateway, scope, gateway);
  records::DhcpOptions options;
  options.id = vpc.dhcp_options_id;
  const std::string domain = scope.region == "us-east-1" ? "ec2.internal" : scope.region + ".compute.internal";
  options.configurations = {{"domain-name", {domain}}, {"domain-name-servers", {"AmazonProvidedDNS"}}};
  put(transaction, kinds::kDhcpOptions, scope, options);
}

void complete(const Scope& scope, records::Vpc vpc, Random& random, const std::vector<std::string>& subnet_ids,
              state::Transaction& transaction) {
  transaction.durability = state::Durability::acknowledged;
  if (vpc.cidr_association_id.empty()) vpc.cidr_association_id = "vpc-cidr-assoc-" + suffix(vpc.id);
  make_companions(scope, vpc, random, transaction);
  make_gateway_and_options(scope, vpc, transaction);
  // The companions' records as they are in the transaction, with what only a default VPC has in them.
  for (state::Write& write : transaction.writes) {
    const auto replace = [&](const auto& record) {
      write.value = std::make_shared<const state::Value>(records::encode(record));
    };
    if (write.key == records::keys::ec2(kinds::kRouteTable, scope, vpc.main_route_table_id)) {
      auto table = *records::decoded<records::RouteTable>(write.value);
      table.routes.push_back({"0.0.0.0/0", "", vpc.internet_gateway_id, "CreateRoute"});
      replace(table);
    } else if (write.key == records::keys::ec2(kinds::kNetworkAcl, scope, vpc.default_network_acl_id)) {
      auto acl = *records::decoded<records::NetworkAcl>(write.value);
      for (const std::string& subnet : subnet_ids) acl.associations.push_back({"aclassoc-" + suffix(subnet), subnet});
      replace(acl);
    }
  }
  put(transaction, kinds::kVpc, scope, vpc);
  records::put(transaction, records::keys::ec2(kinds::kRegion, scope, "default-vpc"), records::DefaultVpcMade{vpc.id, vpc.dhcp_options_id});
}

void complete_old(const state::Store& store, const Scope& scope, const records::Vpc& vpc, Random& random,
                  state::Transaction& transaction) {
  std::vector<std::string> subnets;
  for (const auto& [key, subnet] : records::range<records::Subnet>(store, records::keys::ec2(kinds::kSubnet, scope, "")))
    if (subnet->vpc_id == vpc.id) subnets.push_back(subnet->id);
  complete(scope, vpc, random, subnets, transaction);
}

bool is_old(const records::Vpc& vpc) { return vpc.is_default && vpc.default_network_acl_id.empty(); }

}  // namespace

Ipv4Network default_block(const state::Store& store, const Network& network) {
  const auto wanted = parse_network(network.first_cidr);
  const Ipv4Network first = wanted && wanted->prefix >= 8 && wanted->prefix <= 24 ? *wanted : *parse_network("172.31.0.0/16");
  const auto taken = blocks_in_use(store, network);
  for (Ipv4Network block = first;; block.base.value -= static_cast<uint32_t>(block.size())) {
    if (std::none_of(taken.begin(), taken.end(), [&](const auto& other) { return block.overlaps(other); })) return block;
    const auto size = static_cast<uint32_t>(block.size());
    if (block.base.value < size || !is_private({{block.base.value - size}, block.prefix})) return first;
  }
}

records::Route local_route(std::string cidr) { return {std::move(cidr), "", "local", "CreateRouteTable"}; }

std::vector<records::NetworkAclEntry> default_acl_entries(bool allowing) {
  std::vector<records::NetworkAclEntry> entries;
  for (const bool egress : {false, true}) {
    if (allowing) entries.push_back({100, egress, -1, true, "0.0.0.0/0"});
    entries.push_back({32767, egress, -1, false, "0.0.0.0/0"});
  }
  return entries;
}

void make_companions(const Scope& scope, records::Vpc& vpc, Random& random, state::Transaction& transaction) {
  if (vpc.main_route_table_id.empty()) vpc.main_route_table_id = new_id("rtb", random);
  if (vpc.default_security_group_id.empty()) vpc.default_security_group_id = new_id("sg", random);
  if (vpc.default_network_acl_id.empty()) vpc.default_network_acl_id = new_id("acl", random);
  records::RouteTable table;
  table.id = vpc.main_route_table_id;
  table.vpc_id = vpc.id;
  table.routes.push_back(local_route(vpc.cidr));
  table.associations.push_back({"rtbassoc-" + suffix(table.id), "", true});
  put(transaction, kinds::kRouteTable, scope, table);

  records::NetworkAcl acl;
  acl.id = vpc.default_network_acl_id;
  acl.vpc_id = vpc.id;
  acl.is_default = true;
  acl.entries = default_acl_entries(true);
  put(transaction, kinds::kNetworkAcl, scope, acl);

  records::SecurityGroup group;
  group.id = vpc.default_security_group_id;
  group.vpc_id = vpc.id;
  group.name = "default";
  group.description = "default VPC security group";
  put(transaction, kinds::kSecurityGroup, scope, group);
  for (const bool egress : {false, true}) {
    records::SecurityGroupRule rule;
    rule.id = new_id("sgr", random);
    rule.group_id = group.id;
    rule.egress = egress;
    (egress ? rule.cidr_ipv4 : rule.peer_group_id) = egress ? "0.0.0.0/0" : group.id;
    records::put(transaction, records::keys::ec2(kinds::kSecurityGroupRule, scope, group.id + "/" + rule.id), rule);
  }
}

std::string make_default_vpc(const Scope& scope, const Ipv4Network& block, const std::string& dhcp_options_id,
                             Random& random, state::Transaction& transaction) {
  records::Vpc vpc;
  vpc.id = new_id("vpc", random);
  vpc.cidr = block.to_string();
  vpc.dhcp_options_id = dhcp_options_id.empty() ? new_id("dopt", random) : dhcp_options_id;
  vpc.internet_gateway_id = new_id("igw", random);
  std::vector<std::string> subnets;
  Ipv4Network part{block.base, block.prefix + kSubnetPrefixBits};
  for (const char letter : kZoneLetters) {
    records::Subnet subnet;
    subnet.id = new_id("subnet", random);
    subnet.vpc_id = vpc.id;
    subnet.cidr = part.to_string();
    subnet.availability_zone = scope.region + letter;
    part.base.value += static_cast<uint32_t>(part.size());
    put(transaction, kinds::kSubnet, scope, subnet);
    subnets.push_back(subnet.id);
  }
  complete(scope, vpc, random, subnets, transaction);
  return vpc.id;
}

void ensure_default_vpc(const state::Store& store, const Scope& scope, const Network& network, Random& random,
                        state::Transaction& transaction) {
  const std::string marker = records::keys::ec2(kinds::kRegion, scope, "default-vpc");
  if (store.get(marker)) return;
  // Two first uses at once: the second finds that the region has been used.
  transaction.reads.push_back({marker, false, 0});
  if (const std::string id = default_vpc_id(store, scope); !id.empty())
    return complete_old(store, scope, *records::get<records::Vpc>(store, records::keys::ec2(kinds::kVpc, scope, id)), random,
                        transaction);
  make_default_vpc(scope, default_block(store, network), "", random, transaction);
}

std::vector<state::Transaction> complete_default_vpcs(const state::Store& store, Random& random) {
  std::vector<state::Transaction> out;
  for (const auto& [key, vpc] : records::range<records::Vpc>(store, "ec2/vpc/")) {
    if (!is_old(*vpc)) continue;
    // ec2/vpc/<account>/<region>/<id>
    const size_t account = std::string_view("ec2/vpc/").size(), region = key.find('/', account) + 1;
    const Scope scope{key.substr(account, region - 1 - account), key.substr(region, key.find('/', region) - region)};
    complete_old(store, scope, *vpc, random, out.emplace_back());
  }
  return out;
}

std::string default_vpc_id(const state::Store& store, const Scope& scope) {
  for (const auto& [key, vpc] : records::range<records::Vpc>(store, records::keys::ec2(kinds::kVpc, scope, "")))
    if (vpc->is_default) return vpc->id;
  return {};
}

}  // namespace berth::services::ec2
