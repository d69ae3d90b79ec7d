// What every Describe operation does: ids that must be there, filters, tag filters, pages.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "services/common/page_token.h"
#include "services/ec2/filters.h"
#include "services/ec2/objects.h"

namespace berth::services::ec2 {

inline constexpr int kPageMax = 1000;  // and what a page has that nobody asked a size for

// MaxResults and NextToken of one query. Items come by key, ascending.
class Pages {
 public:
  // `query`: all that the answer depends on but the page. `min`, `max`: what MaxResults may be.
  static ApiResult<Pages> open(const Work& work, std::string_view query, const std::optional<int>& results_max,
                               const std::optional<std::string>& token, int min = 5, int max = kPageMax);
  // Whether the item is on this page.
  bool take(std::string_view key);
  bool is_full() const { return full_; }  // nothing more will be taken
  std::optional<std::string> next_token() const;

 private:
  std::string query_, start_, last_;
  size_t left_ = kPageMax;
  bool full_ = false;
};

template <class R>
struct Selected {
  std::vector<std::shared_ptr<const R>> records;
  std::optional<std::string> next_token;
};

struct Bounds {
  int min = 5;
  int max = kPageMax;
};

template <class In>
std::vector<FilterSpec> filters_in(const In& in) {
  const auto* filters = [&] {
    if constexpr (requires { in.filters; })
      return &in.filters;
    else
      return &in.filter;
  }();
  std::vector<FilterSpec> out;
  for (const auto& filter : list(*filters)) out.push_back({filter.name.value_or(""), list(filter.values)});
  return out;
}

// Opens the pages of a Describe request, whose input it takes as it is.
template <class In>
ApiResult<Pages> pages_of(const Work& work, const In& in, Bounds bounds = {}) {
  if constexpr (requires { in.next_token; }) {
    In query = in;
    query.next_token.reset(), query.max_results.reset();
    std::optional<int> size;
    if (in.max_results) size = static_cast<int>(*in.max_results);
    return Pages::open(work, std::string(In::kShape.name) + common::to_kept(query), size, in.next_token, bounds.min,
                       bounds.max);
  } else {
    return Pages::open(work, In::kShape.name, std::nullopt, std::nullopt);
  }
}

// `names`: the filters that the operation knows; `shown`: record -> Filterable, without the tags.
template <class R, class In, class Shown>
ApiResult<Selected<R>> select(Work& work, const In& in, const std::vector<std::string>& ids,
                              const std::vector<std::string_view>& names, const Shown& shown, Bounds bounds = {}) {
  const auto filters = filters_in(in);
  if (auto checked = check_filters(filters, names); !checked) return tl::unexpected(checked.error());
  auto pages = pages_of(work, in, bounds);
  if (!pages) return tl::unexpected(pages.error());
  std::map<std::string, std::shared_ptr<const R>> found;
  if (ids.empty()) found = all<R>(work);
  for (const std::string& id : ids) {
    auto record = find<R>(work, id);
    if (!record) return tl::unexpected(record.error());
    found.emplace(key_of<R>(work, id), *std::move(record));
  }
  Selected<R> out;
  for (const auto& [key, record] : found) {
    if (!filters.empty()) {
      Filterable seen = shown(*record);
      if (has_tag_filter(filters)) seen.with_tags(tags_of(work, id_of(*record)));
      if (!seen.matches(filters)) continue;
    }
    if (pages->take(id_of(*record))) out.records.push_back(record);
    if (pages->is_full()) break;
  }
  out.next_token = pages->next_token();
  return out;
}

}  // namespace berth::services::ec2
