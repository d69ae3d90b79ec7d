#include "services/ecs/identifiers.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "services/ecs/errors.h"

namespace berth::services::ecs {
namespace {

constexpr size_t kRoleNameBytesMax = 64;  // of IAM

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool looks_like_arn(std::string_view text) { return text.starts_with("arn:"); }

tl::unexpected<ApiError> bad_arn() { return invalid_parameter("The ARN provided is invalid."); }

// The parts of an ECS resource behind its kind: "task/c/id" of kind "task" gives {"c", "id"}.
ApiResult<std::vector<std::string>> ecs_resource(const records::Scope& scope, std::string_view text,
                                                 std::string_view kind) {
  const auto arn = parse_arn(text);
  if (!arn || arn->service != "ecs") return bad_arn();
  if (arn->account != scope.account) return invalid_parameter("AccountIDs mismatch");
  if (arn->region != scope.region) return invalid_parameter(fmt::format("Invalid identifier: {}", text));
  auto parts = split(arn->resource, '/');
  if (parts.size() < 2 || parts[0] != kind) return invalid_parameter(fmt::format("Invalid identifier: {}", text));
  return std::vector<std::string>(parts.begin() + 1, parts.end());
}

ApiResult<std::string> must_be_name(std::string_view member, std::string_view name) {
  if (is_name(name)) return std::string(name);
  return invalid_parameter(fmt::format("{} must match ^[a-zA-Z0-9\\-_]{{1,255}}$, but was {}", member, name));
}

// The last part of "<kind>/<cluster>/<name>" or of the old short form "<kind>/<name>", the cluster having been compared.
ApiResult<std::string> name_in_cluster(const records::Scope& scope, std::string_view cluster, std::string_view text,
                                       std::string_view kind) {
  const auto parts = ecs_resource(scope, text, kind);
  if (!parts) return tl::unexpected(parts.error());
  if (parts->size() > 2) return invalid_parameter(fmt::format("Invalid identifier: {}", text));
  if (parts->size() == 2 && parts->front() != cluster)
    return invalid_parameter(
        fmt::format("Invalid identifier: Identifier is for cluster {}. Your cluster is {}", parts->front(), cluster));
  return parts->back();
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-'; });
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

ApiResult<std::string> parse_cluster(const records::Scope& scope, std::string_view text) {
  if (text.empty()) return std::string("default");
  if (!looks_like_arn(text)) return must_be_name("Cluster", text);
  const auto parts = ecs_resource(scope, text, "cluster");
  if (!parts) return tl::unexpected(parts.error());
  if (parts->size() != 1) return invalid_parameter(fmt::format("Invalid identifier: {}", text));
  return must_be_name("Cluster", parts->front());
}

ApiResult<std::string> parse_service(const records::Scope& scope, std::string_view cluster, std::string_view text) {
  if (!looks_like_arn(text)) return must_be_name("Service", text);
  const auto name = name_in_cluster(scope, cluster, text, "service");
  return name ? must_be_name("Service", *name) : name;
}

ApiResult<std::string> parse_task(const records::Scope& scope, std::string_view cluster, std::string_view text) {
  std::string id(text);
  if (looks_like_arn(text)) {
    const auto name = name_in_cluster(scope, cluster, text, "task");
    if (!name) return name;
    id = *name;
  }
  if (id.find('/') != std::string::npos || id.find(':') != std::string::npos)
    return invalid_parameter("Task Identifier is invalid");
  if (id.size() != 32 && id.size() != 36) return invalid_parameter("task length should be one of [32,36]");
  if (!is_hex(id)) return invalid_parameter("Task Identifier is invalid");
  return id;
}

ApiResult<DefinitionReference> parse_definition(const records::Scope& scope, std::string_view text) {
  std::string name(text);
  if (looks_like_arn(text)) {
    const auto parts = ecs_resource(scope, text, "task-definition");
    if (!parts) return tl::unexpected(parts.error());
    if (parts->size() != 1) return invalid_parameter(fmt::format("Invalid identifier: {}", text));
    name = parts->front();
  }
  DefinitionReference out;
  const size_t colon = name.find(':');
  out.family = name.substr(0, colon);
  if (colon != std::string::npos) {
    out.revision_text = name.substr(colon + 1);
    int64_t number = 0;
    const char* end = out.revision_text.data() + out.revision_text.size();
    const auto [stop, error] = std::from_chars(out.revision_text.data(), end, number);
    if (error == std::errc() && stop == end && number > 0) out.revision = number;
  }
  return out;
}

ApiResult<Taggable> parse_taggable(const records::Scope& scope, std::string_view text) {
  const auto arn = parse_arn(text);
  if (!arn || arn->service != "ecs") return bad_arn();
  const std::string_view kind = std::string_view(arn->resource).substr(0, arn->resource.find('/'));
  if (kind != "cluster" && kind != "service" && kind != "task" && kind != "task-definition") return bad_arn();
  const auto parts = ecs_resource(scope, text, kind);
  if (!parts) return tl::unexpected(parts.error());
  if (kind == "cluster" && parts->size() == 1) return Taggable{Taggable::Kind::cluster, {}, parts->front()};
  if (kind == "task-definition" && parts->size() == 1) {
    const auto definition = parse_definition(scope, text);
    if (!definition) return tl::unexpected(definition.error());
    if (!definition->revision) return bad_arn();
    return Taggable{Taggable::Kind::task_definition, {}, definition->family, *definition->revision};
  }
  if (kind == "cluster" || kind == "task-definition") return bad_arn();
  if (parts->size() == 1) return invalid_parameter("Long arn format must be used for tagging operations");
  if (parts->size() != 2) return bad_arn();
  const auto which = kind == "service" ? Taggable::Kind::service : Taggable::Kind::task;
  return Taggable{which, parts->front(), parts->back()};
}

bool is_role_arn(std::string_view text) {
  const auto arn = parse_arn(text);
  if (!arn || arn->service != "iam" || !arn->region.empty() || arn->account.size() != 12) return false;
  if (!std::all_of(arn->account.begin(), arn->account.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  return arn->resource.starts_with("role/") && arn->resource.size() > 5 && arn->resource.back() != '/';
}

bool is_role_name(std::string_view text) {
  return !text.empty() && text.size() <= kRoleNameBytesMax && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("_+=,.@-").find(c) != std::string_view::npos;
  });
}

std::string role_arn(std::string_view name_or_arn, const std::string& account) {
  if (!is_role_name(name_or_arn)) return std::string(name_or_arn);
  return fmt::format("arn:aws:iam::{}:role/{}", account, name_or_arn);
}

}  // namespace berth::services::ecs
