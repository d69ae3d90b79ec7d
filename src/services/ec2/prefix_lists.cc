#include "services/ec2/prefix_lists.h"

#include <algorithm>

#include "model/ec2/operations.h"
#include "model/ec2/prefix_lists.h"
#include "services/ec2/quotas.h"
#include "services/ec2/security_group_rules.h"
#include "services/ec2/select.h"

namespace berth::services::ec2 {
namespace {

using records::AwsPrefixList;
using records::PrefixList;
using records::PrefixListEntry;

tl::unexpected<ApiError> invalid(std::string text) { return refuse("InvalidParameterValue", std::move(text)); }

m::ManagedPrefixList render(Work& work, const PrefixList& list, const std::string& state) {
  m::ManagedPrefixList out;
  out.prefix_list_id = list.id;
  out.address_family = list.address_family == "IPv6" ? "IPv6" : "IPv4";
  out.state = state;
  out.prefix_list_arn = arn(work, kKind<PrefixList>.arn_type, list.id);
  out.prefix_list_name = list.name;
  out.max_entries = list.max_entries;
  out.version = list.version;
  out.tags = render_tags(work, list.id);
  out.owner_id = work.scope.account;
  return out;
}

m::ManagedPrefixList render(const Work& work, const AwsPrefixList& list) {
  m::ManagedPrefixList out;
  out.prefix_list_id = std::string(list.id);
  out.address_family = "IPv4";
  out.state = "create-complete";
  out.prefix_list_arn = fmt::format("arn:aws:ec2:{}:aws:prefix-list/{}", work.scope.region, list.id);
  out.prefix_list_name = list.name(work.scope.region);
  out.tags.emplace();
  out.owner_id = "AWS";
  return out;
}

ApiResult<std::string> check_cidr(const PrefixList& list, const std::string& cidr) {
  const auto canonical = list.address_family == "IPv6" ? canonical_ipv6(cidr) : canonical_ipv4(cidr);
  if (!canonical) return invalid(fmt::format("The CIDR '{}' is invalid.", cidr));
  return *canonical;
}

std::vector<PrefixListEntry>::iterator entry_of(PrefixList& list, const std::string& cidr) {
  return std::find_if(list.entries.begin(), list.entries.end(),
                      [&](const PrefixListEntry& entry) { return entry.cidr == cidr; });
}

ApiResult<void> add_entries(PrefixList& list, const std::vector<m::AddPrefixListEntry>& added) {
  std::vector<std::string> seen;
  for (const m::AddPrefixListEntry& one : added) {
    const auto cidr = check_cidr(list, one.cidr);
    if (!cidr) return tl::unexpected(cidr.error());
    if (one.description.value_or("").size() > quotas::kRuleDescriptionBytes)
      return invalid(fmt::format("Value ({}) for parameter Description is invalid. The maximum length is {}.",
                                 *one.description, quotas::kRuleDescriptionBytes));
    if (std::find(seen.begin(), seen.end(), *cidr) != seen.end())
      return invalid(fmt::format("The entry {} appears more than once.", *cidr));
    seen.push_back(*cidr);
    // An entry that is there gets the new description.
    const auto present = entry_of(list, *cidr);
    if (present == list.entries.end())
      list.entries.push_back({*cidr, one.description.value_or("")});
    else
      present->description = one.description.value_or("");
  }
  return {};
}

ApiResult<void> check_size(const PrefixList& list) {
  if (list.max_entries < 1 || list.max_entries > quotas::kPrefixListEntries)
    return invalid(fmt::format("Value ({}) for parameter MaxEntries is invalid. Valid values are from 1 to {}.",
                               list.max_entries, quotas::kPrefixListEntries));
  if (list.entries.size() > static_cast<size_t>(list.max_entries))
    return refuse("PrefixListMaxEntriesExceeded",
                  fmt::format("You cannot have more than {} entries in the prefix list.", list.max_entries));
  return {};
}

ApiResult<void> check_name(const std::string& name) {
  if (name.empty() || name.size() > quotas::kGroupNameBytes || name.starts_with("com.amazonaws"))
    return invalid(
        fmt::format("Value ({}) for parameter PrefixListName is invalid. Names have at most {} characters and "
                    "do not begin with com.amazonaws.",
                    name, quotas::kGroupNameBytes));
  return {};
}

// The entries until now become an earlier version; the oldest are forgotten.
void begin_version(PrefixList& list, std::vector<PrefixListEntry> before) {
  list.earlier.push_back({list.version, std::move(before)});
  size_t kept = 0;
  for (const auto& earlier : list.earlier) kept += earlier.entries.size();
  while (!list.earlier.empty() && kept > quotas::kPrefixListEntriesKept) {
    kept -= list.earlier.front().entries.size();
    list.earlier.erase(list.earlier.begin());
  }
  ++list.version;
}

Handled<m::CreateManagedPrefixListResult> create_list(const Context& context,
                                                      const m::CreateManagedPrefixListRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const std::string hash = parameters_hash(in);
  const auto known = id_by_token(work, "CreateManagedPrefixList", in.client_token, hash);
  if (!known) return tl::unexpected(known.error());
  m::CreateManagedPrefixListResult out;
  if (!known->empty()) {
    const auto before = find<PrefixList>(work, *known);
    if (!before) return tl::unexpected(before.error());
    out.prefix_list = render(work, **before, (*before)->state);
    return {std::move(out), std::move(work.transaction)};
  }
  if (in.address_family != "IPv4" && in.address_family != "IPv6")
    return invalid(fmt::format("Value ({}) for parameter AddressFamily is invalid. Valid values are IPv4 and IPv6.",
                               in.address_family));
  if (auto checked = check_name(in.prefix_list_name); !checked) return tl::unexpected(checked.error());
  const auto tags = tags_at_creation(in.tag_specifications, kKind<PrefixList>.resource_type);
  if (!tags) return tl::unexpected(tags.error());
  PrefixList list;
  list.id = new_id<PrefixList>(work);
  list.name = in.prefix_list_name;
  list.max_entries = in.max_entries;
  list.address_family = in.address_family;
  if (auto added = add_entries(list, ec2::list(in.entries)); !added) return tl::unexpected(added.error());
  if (auto checked = check_size(list); !checked) return tl::unexpected(checked.error());
  put(work, list);
  put_tags(work, list.id, *tags);
  remember_token(work, "CreateManagedPrefixList", in.client_token, hash, list.id);
  out.prefix_list = render(work, list, "create-in-progress");
  return {std::move(out), std::move(work.transaction)};
}

ApiResult<std::shared_ptr<const PrefixList>> find_own(Work& work, const std::string& id) {
  if (records::aws_prefix_list(id))
    return refuse("OperationNotPermitted",
                  fmt::format("The prefix list '{}' is managed by AWS. It cannot be changed.", id));
  return find<PrefixList>(work, id);
}

Handled<m::DeleteManagedPrefixListResult> delete_list(const Context& context,
                                                      const m::DeleteManagedPrefixListRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto list = find_own(work, in.prefix_list_id);
  if (!list) return tl::unexpected(list.error());
  if (context.networks.is_named((*list)->id))
    return refuse("DependencyViolation",
                  fmt::format("The prefix list '{}' has dependencies and cannot be deleted.", (*list)->id));
  m::DeleteManagedPrefixListResult out;
  out.prefix_list = render(work, **list, "delete-in-progress");
  erase(work, **list);
  return {std::move(out), std::move(work.transaction)};
}

// Those of a rule or route count by their maximum, which therefore cannot grow past their quotas.
Handled<m::ModifyManagedPrefixListResult> modify_list(const Context& context,
                                                      const m::ModifyManagedPrefixListRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find_own(work, in.prefix_list_id);
  if (!found) return tl::unexpected(found.error());
  PrefixList list = **found;
  if (in.current_version && *in.current_version != list.version)
    return refuse("PrefixListVersionMismatch", "The prefix list has the incorrect version number.");
  const bool entries_change = !ec2::list(in.add_entries).empty() || !ec2::list(in.remove_entries).empty();
  if (entries_change && !in.current_version)
    return refuse("MissingParameter", "The request must contain the parameter CurrentVersion");
  if (entries_change && in.max_entries)
    return refuse("InvalidParameterCombination",
                  "You cannot modify the entries and the maximum size at the same time.");
  if (in.prefix_list_name) {
    if (auto checked = check_name(*in.prefix_list_name); !checked) return tl::unexpected(checked.error());
    list.name = *in.prefix_list_name;
  }
  if (in.max_entries) list.max_entries = *in.max_entries;
  if (in.max_entries || entries_change) list.state = "modify-complete";
  for (const auto& removed : ec2::list(in.remove_entries))
    for (const auto& added : ec2::list(in.add_entries))
      if (removed.cidr == added.cidr)
        return invalid(fmt::format(
            "Request cannot contain Cidr {} in both AddPrefixListEntries and RemovePrefixListEntries", added.cidr));
  const std::vector<PrefixListEntry> before = list.entries;
  for (const m::RemovePrefixListEntry& one : ec2::list(in.remove_entries)) {
    const auto cidr = check_cidr(list, one.cidr);
    if (!cidr) return tl::unexpected(cidr.error());
    const auto present = entry_of(list, *cidr);
    if (present == list.entries.end())
      return invalid(fmt::format("The entry {} is not in the prefix list '{}'.", *cidr, list.id));
    list.entries.erase(present);
  }
  if (auto added = add_entries(list, ec2::list(in.add_entries)); !added) return tl::unexpected(added.error());
  if (auto checked = check_size(list); !checked) return tl::unexpected(checked.error());
  if (entries_change && list.entries == before)
    return invalid("The request does not change the prefix list's entries.");
  if (entries_change) {
    begin_version(list, before);
  }
  put(work, list);
  m::ModifyManagedPrefixListResult out;
  out.prefix_list = render(work, list, "modify-in-progress");
  return {std::move(out), std::move(work.transaction)};
}

ApiResult<std::vector<PrefixListEntry>> entries_at(const PrefixList& list, int64_t version) {
  if (version == list.version) return list.entries;
  for (const records::PrefixListVersion& earlier : list.earlier)
    if (earlier.version == version) return earlier.entries;
  return refuse("InvalidPrefixListVersion.NotFound",
                fmt::format("The prefix list '{}' has no version {}.", list.id, version));
}

Handled<m::RestoreManagedPrefixListVersionResult> restore_version(const Context& context,
                                                                  const m::RestoreManagedPrefixListVersionRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto found = find_own(work, in.prefix_list_id);
  if (!found) return tl::unexpected(found.error());
  PrefixList list = **found;
  if (in.current_version != list.version)
    return refuse("PrefixListVersionMismatch", "The prefix list has the incorrect version number.");
  auto entries = entries_at(list, in.previous_version);
  if (!entries) return tl::unexpected(entries.error());
  begin_version(list, std::move(list.entries));
  list.entries = *std::move(entries);
  list.state = "restore-complete";
  if (auto checked = check_size(list); !checked) return tl::unexpected(checked.error());
  put(work, list);
  m::RestoreManagedPrefixListVersionResult out;
  out.prefix_list = render(work, list, "restore-in-progress");
  return {std::move(out), std::move(work.transaction)};
}

Filterable filterable(const m::ManagedPrefixList& shown) {
  Filterable seen;
  seen.with("owner-id", *shown.owner_id).with("prefix-list-id", *shown.prefix_list_id);
  seen.with("prefix-list-name", *shown.prefix_list_name);
  for (const auto& tag : ec2::list(shown.tags)) seen.with("tag-key", *tag.key).with("tag:" + *tag.key, *tag.value);
  return seen;
}

// AWS's own first, then the account's, by id.
ApiResult<std::vector<m::ManagedPrefixList>> lists_asked_for(Work& work, const std::vector<std::string>& ids) {
  std::vector<m::ManagedPrefixList> out;
  const auto asked = [&](std::string_view id) {
    return ids.empty() || std::find(ids.begin(), ids.end(), id) != ids.end();
  };
  for (const std::string& id : ids)
    if (!records::aws_prefix_list(id))
      if (const auto found = find<PrefixList>(work, id); !found) return tl::unexpected(found.error());
  for (const AwsPrefixList& list : records::kAwsPrefixLists)
    if (asked(list.id)) out.push_back(render(work, list));
  for (const auto& [key, list] : all<PrefixList>(work))
    if (asked(list->id)) out.push_back(render(work, *list, list->state));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.prefix_list_id < b.prefix_list_id; });
  return out;
}

Handled<m::DescribeManagedPrefixListsResult> describe_managed(const Context& context,
                                                              const m::DescribeManagedPrefixListsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"owner-id", "prefix-list-id", "prefix-list-name"}); !checked)
    return tl::unexpected(checked.error());
  auto pages = pages_of(work, in, {1, 100});
  if (!pages) return tl::unexpected(pages.error());
  auto found = lists_asked_for(work, ec2::list(in.prefix_list_ids));
  if (!found) return tl::unexpected(found.error());
  m::DescribeManagedPrefixListsResult out;
  out.prefix_lists.emplace();
  for (m::ManagedPrefixList& list : *found)
    if (filterable(list).matches(filters) && pages->take(*list.prefix_list_id))
      out.prefix_lists->push_back(std::move(list));
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

// The older operation: AWS's lists alone, with their blocks.
Handled<m::DescribePrefixListsResult> describe_lists(const Context& context, const m::DescribePrefixListsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, {"prefix-list-id", "prefix-list-name"}); !checked)
    return tl::unexpected(checked.error());
  auto pages = pages_of(work, in);
  if (!pages) return tl::unexpected(pages.error());
  const std::vector<std::string>& ids = ec2::list(in.prefix_list_ids);
  for (const std::string& id : ids)
    if (!records::aws_prefix_list(id)) return not_found(kKind<PrefixList>, id);
  m::DescribePrefixListsResult out;
  out.prefix_lists.emplace();
  std::vector<AwsPrefixList> lists(records::kAwsPrefixLists.begin(), records::kAwsPrefixLists.end());
  std::sort(lists.begin(), lists.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  for (const AwsPrefixList& list : lists) {
    const std::string id(list.id);
    Filterable seen;
    seen.with("prefix-list-id", id).with("prefix-list-name", list.name(work.scope.region));
    if (!ids.empty() && std::find(ids.begin(), ids.end(), id) == ids.end()) continue;
    if (!seen.matches(filters) || !pages->take(id)) continue;
    m::PrefixList& shown = out.prefix_lists->emplace_back();
    shown.prefix_list_id = id;
    shown.prefix_list_name = list.name(work.scope.region);
    shown.cidrs.emplace(list.cidrs.begin(), list.cidrs.end());
  }
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

Handled<m::GetManagedPrefixListEntriesResult> get_entries(const Context& context,
                                                          const m::GetManagedPrefixListEntriesRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto pages = pages_of(work, in, {1, 100});
  if (!pages) return tl::unexpected(pages.error());
  std::vector<PrefixListEntry> entries;
  if (const AwsPrefixList* aws = records::aws_prefix_list(in.prefix_list_id)) {
    for (const std::string_view cidr : aws->cidrs) entries.push_back({std::string(cidr), ""});
  } else {
    const auto list = find<PrefixList>(work, in.prefix_list_id);
    if (!list) return tl::unexpected(list.error());
    auto found = entries_at(**list, in.target_version.value_or((*list)->version));
    if (!found) return tl::unexpected(found.error());
    entries = *std::move(found);
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.cidr < b.cidr; });
  m::GetManagedPrefixListEntriesResult out;
  out.entries.emplace();
  for (const PrefixListEntry& entry : entries) {
    if (!pages->take(entry.cidr)) continue;
    m::PrefixListEntry& shown = out.entries->emplace_back();
    shown.cidr = entry.cidr;
    if (!entry.description.empty()) shown.description = entry.description;
  }
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

// The groups and route tables that name the list.
Handled<m::GetManagedPrefixListAssociationsResult> get_associations(
    const Context& context, const m::GetManagedPrefixListAssociationsRequest& in) {
  Work work(context);
  if (auto begun = begin(work, in.dry_run); !begun) return tl::unexpected(begun.error());
  auto pages = pages_of(work, in, {5, 255});
  if (!pages) return tl::unexpected(pages.error());
  const auto list = find_own(work, in.prefix_list_id);
  if (!list) return tl::unexpected(list.error());
  std::set<std::string> ids;
  for (const std::string& key : context.networks.naming(in.prefix_list_id)) {
    if (const auto rule = key.find("/sgr-"); rule != std::string::npos)
      ids.insert(key.substr(key.rfind('/', rule - 1) + 1, rule - key.rfind('/', rule - 1) - 1));
    else
      ids.insert(key.substr(key.rfind('/') + 1));
  }
  m::GetManagedPrefixListAssociationsResult out;
  out.prefix_list_associations.emplace();
  for (const std::string& id : ids) {
    if (!pages->take(id)) continue;
    auto& shown = out.prefix_list_associations->emplace_back();
    shown.resource_id = id;
    shown.resource_owner = work.scope.account;
  }
  out.next_token = pages->next_token();
  return {std::move(out), std::move(work.transaction)};
}

}  // namespace

std::optional<int> prefix_list_entries_max(const Work& work, const std::string& id) {
  if (const AwsPrefixList* aws = records::aws_prefix_list(id)) return static_cast<int>(aws->cidrs.size());
  const auto list = records::get<PrefixList>(work.context.store, key_of<PrefixList>(work, id));
  return list ? std::optional(list->max_entries) : std::nullopt;
}

void add_prefix_list_handlers(OperationRegistry& registry) {
  add(registry, m::kCreateManagedPrefixList, Creates{"prefix-list"}, create_list);
  add(registry, m::kDeleteManagedPrefixList, named, delete_list);
  add(registry, m::kModifyManagedPrefixList, named, modify_list);
  add(registry, m::kRestoreManagedPrefixListVersion, named, restore_version);
  add(registry, m::kDescribeManagedPrefixLists, kAnyResource, describe_managed);
  add(registry, m::kDescribePrefixLists, kAnyResource, describe_lists);
  add(registry, m::kGetManagedPrefixListEntries, named, get_entries);
  add(registry, m::kGetManagedPrefixListAssociations, named, get_associations);
}

}  // namespace berth::services::ec2
