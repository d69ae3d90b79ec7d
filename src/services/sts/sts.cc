#include "services/sts/sts.h"

#include "model/sts/identity.h"
#include "model/sts/operations.h"

namespace berth::services::sts {
namespace {

namespace m = model::sts;

// The root has the account's number for its id, others their access key's owner; until IAM is served there is the root.
Handled<m::GetCallerIdentityResponse> get_caller_identity(const Context& context, const m::GetCallerIdentityRequest&) {
  const Caller& caller = context.caller;
  m::GetCallerIdentityResponse out;
  out.account = caller.account;
  out.arn = caller.arn;
  out.user_id = caller.arn.ends_with(":root") ? caller.account : caller.access_key_id;
  return out;
}

}  // namespace

void add_handlers(Registry<model::Operation>& registry) {
  registry.on<m::GetCallerIdentityRequest, m::GetCallerIdentityResponse>(m::kGetCallerIdentity, kNoPermission,
                                                                         get_caller_identity);
}

}  // namespace berth::services::sts
