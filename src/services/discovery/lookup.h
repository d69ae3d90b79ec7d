// Objects by id or ARN, errors, pages and operations, for every family. State thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/servicediscovery/common.h"
#include "records/discovery.h"
#include "records/read.h"
#include "services/handler.h"

namespace berth::services::discovery {

namespace m = model::servicediscovery;
namespace keys = records::keys;

template <class T>
using Found = ApiResult<std::shared_ptr<const T>>;
struct Nothing {};  // the answer of operations without one

tl::unexpected<ApiError> invalid(std::string message);
// With members beside the message, such as NamespaceAlreadyExists' NamespaceId.
tl::unexpected<ApiError> refuse_with(std::string type, std::string message,
                                     std::vector<std::pair<std::string, std::string>> members);

// The id in an id or ARN ("arn:aws:servicediscovery:…:namespace/ns-…").
std::string id_of(std::string_view id_or_arn);
Found<records::Namespace> find_namespace(const Context& context, std::string_view id_or_arn);
Found<records::DiscoveryService> find_service(const Context& context, std::string_view id_or_arn);
Found<records::Instance> find_instance(const Context& context, const std::string& service_id, const std::string& id);

std::vector<std::shared_ptr<const records::Namespace>> all_namespaces(const Context& context);
std::vector<std::shared_ptr<const records::DiscoveryService>> services_of(const Context& context,
                                                                          std::string_view namespace_id);
int32_t count_instances(const Context& context, std::string_view service_id);

// A new operation in `transaction`, which is acknowledged from now on. Returns its id.
std::string begin_operation(const Context& context, state::Transaction& transaction, std::string type,
                            std::map<std::string, std::string> targets, std::string error_code = {},
                            std::string error_message = {});
// Refuses where the operation that changed the object last is not over.
ApiResult<void> check_not_busy(const Context& context, const std::string& operation_id);

std::string new_id(Random& random, std::string_view prefix, int letters);  // lower-case letters and digits

ApiResult<records::Tags> tags_of(const std::optional<std::vector<m::Tag>>& tags, const records::Tags& before = {},
                                 std::string_view resource = {});

// Pages over keys: AWS filters a page after it has cut it, so an empty one may have a token.
struct Page {
  std::string after;
  size_t size;
};
ApiResult<Page> open_page(std::string_view question, const std::optional<std::string>& token,
                          const std::optional<int32_t>& size);
std::string page_token(std::string_view question, std::string_view last);

}  // namespace berth::services::discovery
