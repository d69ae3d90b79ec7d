#include "services/ec2/access.h"

#include <fmt/format.h>

#include <array>

namespace berth::services::ec2 {
namespace {

struct Prefix {
  std::string_view id, type;
};
constexpr std::array kPrefixes = {
    Prefix{"vpc-", "vpc"},
    Prefix{"subnet-", "subnet"},
    Prefix{"sg-", "security-group"},
    Prefix{"sgr-", "security-group-rule"},
    Prefix{"rtb-", "route-table"},
    Prefix{"igw-", "internet-gateway"},
    Prefix{"eigw-", "egress-only-internet-gateway"},
    Prefix{"nat-", "natgateway"},
    Prefix{"eipalloc-", "elastic-ip"},
    Prefix{"eni-", "network-interface"},
    Prefix{"acl-", "network-acl"},
    Prefix{"dopt-", "dhcp-options"},
    Prefix{"pl-", "prefix-list"},
    Prefix{"vpce-", "vpc-endpoint"},
};

std::string arn(const Context& context, std::string_view type, std::string_view id) {
  return fmt::format("arn:aws:ec2:{}:{}:{}/{}", context.caller.region, context.caller.account, type, id);
}

void add_id(const Context& context, std::string_view id, AccessQuery& query) {
  for (const Prefix& prefix : kPrefixes)
    if (id.starts_with(prefix.id)) query.resource(arn(context, prefix.type, id));
}

const void* value_of(const model::Member& member, const void* input) {
  const void* place = static_cast<const char*>(input) + member.offset;
  return member.presence ? member.presence->get(place) : place;
}

}  // namespace

std::string Creates::made(const Context& context) const { return arn(context, type, "*"); }

void find_named(const Context& context, const model::Shape& shape, const void* input, AccessQuery& query) {
  for (const model::Member& member : shape.members) {
    const void* value = value_of(member, input);
    if (!value) continue;
    if (member.shape->kind == model::Kind::string) {
      add_id(context, *static_cast<const std::string*>(value), query);
    } else if (member.shape->kind == model::Kind::list && member.shape->element->kind == model::Kind::string) {
      for (const std::string& id : *static_cast<const std::vector<std::string>*>(value)) add_id(context, id, query);
    }
  }
  // Nothing that we know the kind of: the handler refuses it, or finds it by name (a group's).
  if (query.permissions().front().resources.empty()) query.every_resource();
}

void find_tags(const Context&, const model::Shape& shape, const void* input, std::string_view made,
               AccessQuery& query) {
  for (const model::Member& member : shape.members) {
    if (member.name != "TagSpecifications") continue;
    const void* value = value_of(member, input);
    if (value && member.shape->vector->size(value) > 0)
      query.also({"ec2:CreateTags",
                  {std::string(made)},
                  {{"ec2:CreateAction", query.permissions().front().action.substr(sizeof "ec2:" - 1)}}});
  }
}

}  // namespace berth::services::ec2
