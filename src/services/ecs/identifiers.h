// What callers write for a cluster, service, task or task definition, a short name or an ARN, turned into the names that
// keys are made of. Pure; nothing is looked up. A missing cluster means "default".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "records/keys.h"
#include "services/common/arn.h"

namespace berth::services::ecs {

using common::Arn;
using common::parse_arn;

// ECS's rule for names of clusters, services, families and containers: ^[a-zA-Z0-9\-_]{1,255}$
bool is_name(std::string_view text);

ApiResult<std::string> parse_cluster(const records::Scope& scope, std::string_view text);
ApiResult<std::string> parse_service(const records::Scope& scope, std::string_view cluster, std::string_view text);
ApiResult<std::string> parse_task(const records::Scope& scope, std::string_view cluster, std::string_view text);

struct DefinitionReference {
  std::string family;
  std::optional<int64_t> revision;
  std::string revision_text;  // as written after the colon; where it is no number, `revision` is absent
};
// "family", "family:revision" or an ARN.
ApiResult<DefinitionReference> parse_definition(const records::Scope& scope, std::string_view text);

// The resources that carry tags.
struct Taggable {
  enum class Kind { cluster, service, task, task_definition } kind;
  std::string cluster;  // of a service or task
  std::string name;     // cluster, service, task id or family
  int64_t revision = 0;
};
ApiResult<Taggable> parse_taggable(const records::Scope& scope, std::string_view text);

// arn:aws:iam::<account>:role/<path and name>. Only the form is looked at until IAM is served.
bool is_role_arn(std::string_view text);
bool is_role_name(std::string_view text);
// AWS completes a role's name to the account's role of that name; anything else stays as it is.
std::string role_arn(std::string_view name_or_arn, const std::string& account);

}  // namespace berth::services::ecs
