#include "services/discovery/lookup.h"

#include <algorithm>

namespace berth::services::discovery {
namespace {

constexpr size_t kPageDefault = 100;
constexpr size_t kTagsMax = 200;  // TooManyTagsException in the API reference

}  // namespace

tl::unexpected<ApiError> invalid(std::string message) { return refuse("InvalidInput", std::move(message)); }

tl::unexpected<ApiError> refuse_with(std::string type, std::string message,
                                     std::vector<std::pair<std::string, std::string>> members) {
  ApiError error{std::move(type), std::move(message)};
  for (auto& [name, value] : members) error.list_members.push_back({name, {value}});
  return tl::unexpected(std::move(error));
}

std::string id_of(std::string_view id_or_arn) {
  if (!id_or_arn.starts_with("arn:")) return std::string(id_or_arn);
  return std::string(id_or_arn.substr(id_or_arn.rfind('/') + 1));
}

Found<records::Namespace> find_namespace(const Context& context, std::string_view id_or_arn) {
  const std::string id = id_of(id_or_arn);
  auto found = records::get<records::Namespace>(context.store, keys::discovery(keys::kNamespace, context.scope(), id));
  if (!found || id.empty()) return refuse("NamespaceNotFound", fmt::format("The namespace {} was not found.", id));
  return found;
}

Found<records::DiscoveryService> find_service(const Context& context, std::string_view id_or_arn) {
  const std::string id = id_of(id_or_arn);
  auto found = records::get<records::DiscoveryService>(context.store,
                                                       keys::discovery(keys::kDiscoveryService, context.scope(), id));
  if (!found || id.empty()) return refuse("ServiceNotFound", fmt::format("The service {} was not found.", id));
  return found;
}

Found<records::Instance> find_instance(const Context& context, const std::string& service_id, const std::string& id) {
  auto found =
      records::get<records::Instance>(context.store, keys::instance(keys::kInstance, context.scope(), service_id, id));
  if (!found) return refuse("InstanceNotFound", fmt::format("The instance {} was not found.", id));
  return found;
}

std::vector<std::shared_ptr<const records::Namespace>> all_namespaces(const Context& context) {
  std::vector<std::shared_ptr<const records::Namespace>> out;
  for (auto& [key, one] :
       records::range<records::Namespace>(context.store, keys::discovery(keys::kNamespace, context.scope())))
    out.push_back(std::move(one));
  return out;
}

std::vector<std::shared_ptr<const records::DiscoveryService>> services_of(const Context& context,
                                                                          std::string_view namespace_id) {
  std::vector<std::shared_ptr<const records::DiscoveryService>> out;
  for (auto& [key, one] : records::range<records::DiscoveryService>(
           context.store, keys::discovery(keys::kDiscoveryService, context.scope())))
    if (one->namespace_id == namespace_id) out.push_back(std::move(one));
  return out;
}

int32_t count_instances(const Context& context, std::string_view service_id) {
  return static_cast<int32_t>(context.store.range(keys::instance(keys::kInstance, context.scope(), service_id)).size());
}

std::string new_id(Random& random, std::string_view prefix, int letters) {
  std::string id(prefix);
  for (int i = 0; i < letters; ++i) id += "abcdefghijklmnopqrstuvwxyz0123456789"[random.below(36)];
  return id;
}

std::string begin_operation(const Context& context, state::Transaction& transaction, std::string type,
                            std::map<std::string, std::string> targets, std::string error_code,
                            std::string error_message) {
  records::Operation operation;
  operation.id = new_id(context.random, "", 32) + "-" + new_id(context.random, "", 8);
  operation.type = std::move(type);
  operation.targets = std::move(targets);
  operation.error_code = std::move(error_code);
  operation.error_message = std::move(error_message);
  operation.created_at_ms = operation.updated_at_ms = context.now_ms;
  records::put(transaction, keys::discovery(keys::kOperation, context.scope(), operation.id), operation);
  transaction.durability = state::Durability::acknowledged;
  return operation.id;
}

ApiResult<void> check_not_busy(const Context& context, const std::string& operation_id) {
  if (operation_id.empty()) return {};
  const auto operation =
      records::get<records::Operation>(context.store, keys::discovery(keys::kOperation, context.scope(), operation_id));
  if (!operation || operation->over()) return {};
  std::string type;  // REGISTER_INSTANCE, said RegisterInstance
  for (size_t i = 0; i < operation->type.size(); ++i) {
    const char c = operation->type[i];
    if (c != '_') type += i == 0 || operation->type[i - 1] == '_' ? c : static_cast<char>(c + ('a' - 'A'));
  }
  return refuse_with("DuplicateRequest",
                     fmt::format("Another operation of type {} and id {} is in progress", type, operation_id),
                     {{"DuplicateOperationId", operation_id}});
}

ApiResult<records::Tags> tags_of(const std::optional<std::vector<m::Tag>>& tags, const records::Tags& before,
                                 std::string_view resource) {
  records::Tags out = before;
  if (!tags) return out;
  for (const m::Tag& tag : *tags) {
    if (records::lower_case(tag.key).starts_with("aws:"))
      return invalid("Tag keys that begin with aws: are reserved for AWS.");
    const auto same = [&](const auto& one) { return one.first == tag.key; };
    if (const auto found = std::find_if(out.begin(), out.end(), same); found != out.end())
      found->second = tag.value;
    else
      out.emplace_back(tag.key, tag.value);
  }
  if (out.size() > kTagsMax) {
    std::vector<std::pair<std::string, std::string>> members;
    if (!resource.empty()) members.emplace_back("ResourceName", resource);
    return refuse_with("TooManyTagsException", "The list of tags on the resource is over the limit.",
                       std::move(members));
  }
  return out;
}

std::string page_token(std::string_view question, std::string_view last) {
  std::string token = fmt::format("{:016x}", fnv1a(question));
  for (const char c : last) fmt::format_to(std::back_inserter(token), "{:02x}", static_cast<unsigned char>(c));
  return token;
}

ApiResult<Page> open_page(std::string_view question, const std::optional<std::string>& token,
                          const std::optional<int32_t>& size) {
  Page page{{}, size ? static_cast<size_t>(*size) : kPageDefault};
  if (!token || token->empty()) return page;
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; };
  bool good = token->starts_with(page_token(question, "")) && token->size() > 16 && token->size() % 2 == 0;
  for (size_t i = 16; good && i < token->size(); i += 2) {
    const int high = digit((*token)[i]), low = digit((*token)[i + 1]);
    good = high >= 0 && low >= 0;
    page.after += static_cast<char>(high * 16 + low);
  }
  if (!good) return invalid("The NextToken is invalid.");
  return page;
}

}  // namespace berth::services::discovery
