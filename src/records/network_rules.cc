#include "records/network_rules.h"

#include "records/network.h"
#include "records/read.h"

namespace berth::records {
namespace {

// Empty where it does not exist.
template <class T>
std::string vpc_of(const state::Store& store, std::string_view kind, const Scope& scope, const std::string& id) {
  const auto found = get<T>(store, keys::ec2(kind, scope, id));
  return found ? found->vpc_id : std::string();
}

}  // namespace

Belonging check_belonging(const state::Store& store, const Scope& scope, const std::vector<std::string>& subnets,
                          const std::vector<std::string>& groups) {
  using Fault = Belonging::Fault;
  std::string vpc;
  for (const std::string& id : subnets) {
    const std::string its_vpc = vpc_of<Subnet>(store, ec2_kinds::kSubnet, scope, id);
    if (its_vpc.empty()) return {Fault::no_such_subnet, id};
    if (vpc.empty()) vpc = its_vpc;
    if (vpc != its_vpc) return {Fault::subnets_apart, id};
  }
  for (const std::string& id : groups) {
    const std::string its_vpc = vpc_of<SecurityGroup>(store, ec2_kinds::kSecurityGroup, scope, id);
    if (its_vpc.empty()) return {Fault::no_such_group, id};
    if (vpc != its_vpc) return {Fault::group_elsewhere, id};
  }
  return {};
}

}  // namespace berth::records
