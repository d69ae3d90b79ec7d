#include <charconv>

#include "services/discovery/families.h"
#include "services/discovery/filters.h"

namespace berth::services::discovery {
namespace {

std::string target(const records::Operation& operation, const std::string& kind) {
  const auto found = operation.targets.find(kind);
  return found == operation.targets.end() ? "" : found->second;
}

std::vector<FilterField> fields_of(const records::Operation& operation) {
  return {{"NAMESPACE_ID", target(operation, "NAMESPACE"), {"EQ"}},
          {"SERVICE_ID", target(operation, "SERVICE"), {"EQ"}},
          {"STATUS", operation.status, {"EQ", "IN"}},
          {"TYPE", operation.type, {"EQ", "IN"}},
          {"UPDATE_DATE", fmt::format("{:020}", operation.updated_at_ms), {"BETWEEN"}}};
}

}  // namespace

Handled<m::GetOperationResponse> get_operation(const Context& context, const m::GetOperationRequest& in) {
  const auto found = records::get<records::Operation>(
      context.store, keys::discovery(keys::kOperation, context.scope(), in.operation_id));
  if (!found || (in.owner_account && *in.owner_account != context.caller.account))
    return refuse("OperationNotFound", fmt::format("The operation {} was not found.", in.operation_id));
  m::GetOperationResponse out;
  m::Operation& shown = out.operation.emplace();
  shown.id = found->id;
  shown.owner_account = context.caller.account;
  shown.type = found->type;
  shown.status = found->status;
  if (found->status == "FAIL") {
    shown.error_code = found->error_code;
    shown.error_message = found->error_message;
  }
  shown.create_date = found->created_at_ms;
  shown.update_date = found->updated_at_ms;
  shown.targets.emplace(found->targets.begin(), found->targets.end());
  return out;
}

Handled<m::ListOperationsResponse> list_operations(const Context& context, const m::ListOperationsRequest& in) {
  const std::string question = "operations " + context.caller.account + context.caller.region;
  const auto page = open_page(question, in.next_token, in.max_results);
  if (!page) return tl::unexpected(page.error());
  if (auto good = passes(in.filters, fields_of({})); !good) return tl::unexpected(good.error());
  auto filters = in.filters;
  if (filters)
    for (m::OperationFilter& filter : *filters)
      for (std::string& value : filter.values) {
        if (filter.name == "STATUS" && value == "SUCCEED") value = "SUCCESS";  // as documented; the value is the other
        if (filter.name != "UPDATE_DATE") continue;
        int64_t seconds = 0;
        std::from_chars(value.data(), value.data() + value.size(), seconds);
        value = fmt::format("{:020}", seconds * 1000);
      }
  const std::string prefix = keys::discovery(keys::kOperation, context.scope());
  const auto rows = records::range<records::Operation>(context.store, prefix,
                                                       page->after.empty() ? "" : prefix + page->after, page->size + 1);
  m::ListOperationsResponse out;
  out.operations.emplace();
  for (size_t i = 0; i < rows.size() && i < page->size; ++i) {
    const auto wanted = passes(filters, fields_of(*rows[i].second));
    if (!wanted || !*wanted) continue;
    m::OperationSummary& shown = out.operations->emplace_back();
    shown.id = rows[i].second->id;
    shown.status = rows[i].second->status;
  }
  if (rows.size() > page->size) out.next_token = page_token(question, rows[page->size - 1].second->id);
  return out;
}

}  // namespace berth::services::discovery
