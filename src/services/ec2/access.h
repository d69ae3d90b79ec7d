// What each operation of EC2 asks of IAM, told from its input alone: the ids that it names say by their prefix what they
// are the ids of.
#pragma once

#include "model/descriptor.h"
#include "services/handler.h"

namespace berth::services::ec2 {

// The ids in the members of the input itself ("VpcId", "SubnetIds"); those deeper in it are not what it acts upon.
void find_named(const Context& context, const model::Shape& shape, const void* input, AccessQuery& query);
// ec2:CreateTags for TagSpecifications.
void find_tags(const Context& context, const model::Shape& shape, const void* input, std::string_view made,
               AccessQuery& query);

// For operations that act upon what they name.
template <class In>
void named(const Context& context, const In& in, AccessQuery& query) {
  find_named(context, In::kShape, &in, query);
}

// For operations that make something: of `type` as in ARNs ("subnet"), beside what they name (the VPC).
struct Creates {
  std::string_view type;
  template <class In>
  void operator()(const Context& context, const In& in, AccessQuery& query) const {
    query.resource(made(context));
    find_named(context, In::kShape, &in, query);
    find_tags(context, In::kShape, &in, made(context), query);
  }

 private:
  std::string made(const Context& context) const;
};

}  // namespace berth::services::ec2
