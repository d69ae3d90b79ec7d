#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>

#include "sigv4/sigv4.h"

namespace berth::sigv4 {
namespace {

constexpr char kHexUpper[] = "0123456789ABCDEF";

bool unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

void append_encoded(std::string& out, std::string_view text, bool keep_slash) {
  for (const char c : text) {
    if (unreserved(c) || (keep_slash && c == '/')) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      const char encoded[] = {'%', kHexUpper[byte >> 4], kHexUpper[byte & 15]};
      out.append(encoded, 3);
    }
  }
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// RFC 3986 §5.2.4 as AWS does it: empty and "." segments vanish, ".." takes one away.
void append_path(std::string& out, std::string_view path, bool normalize) {
  if (path.empty() || path == "/") {
    out += '/';
    return;
  }
  if (!normalize) {
    append_encoded(out, path, true);
    return;
  }
  std::vector<std::string_view> segments;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view segment = path.substr(start, end - start);
    if (segment == "..") {
      if (!segments.empty()) segments.pop_back();
    } else if (!segment.empty() && segment != ".") {
      segments.push_back(segment);
    }
    start = end + 1;
  }
  for (const std::string_view segment : segments) {
    out += '/';
    append_encoded(out, segment, false);
  }
  if (segments.empty() || path.back() == '/') out += '/';
}

void append_query(std::string& out, std::string_view query) {
  if (query.empty()) return;
  std::vector<std::pair<std::string, std::string>> parameters;
  for (size_t start = 0; start <= query.size();) {
    const size_t end = std::min(query.find('&', start), query.size());
    const std::string_view part = query.substr(start, end - start);
    start = end + 1;
    if (part.empty()) continue;
    const size_t equals = std::min(part.find('='), part.size());
    auto& [name, value] = parameters.emplace_back();
    append_encoded(name, percent_decoded(part.substr(0, equals)), false);
    if (equals < part.size()) append_encoded(value, percent_decoded(part.substr(equals + 1)), false);
  }
  std::ranges::sort(parameters);
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (i) out += '&';
    out.append(parameters[i].first).append("=").append(parameters[i].second);
  }
}

bool equal_ignoring_case(std::string_view lower, std::string_view text) {
  return lower.size() == text.size() && std::equal(lower.begin(), lower.end(), text.begin(), [](char a, char b) {
           return a == (b >= 'A' && b <= 'Z' ? b + 32 : b);
         });
}

// Spaces at the ends go, runs of spaces inside become one.
void append_trimmed(std::string& out, std::string_view value) {
  bool space = false, any = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      space = any;
      continue;
    }
    if (space) out += ' ';
    space = false;
    any = true;
    out += c;
  }
}

}  // namespace

bool append_canonical_request(std::string& out, const Request& request, std::string_view signed_headers,
                              std::string_view payload_hash, bool normalize_path) {
  out.append(request.method).append("\n");
  append_path(out, request.path, normalize_path);
  out += '\n';
  append_query(out, request.query);
  out += '\n';
  for (size_t start = 0; start < signed_headers.size();) {
    const size_t end = std::min(signed_headers.find(';', start), signed_headers.size());
    const std::string_view name = signed_headers.substr(start, end - start);
    start = end + 1;
    out.append(name).append(":");
    bool found = false;
    for (const Header& header : request.headers) {
      if (!equal_ignoring_case(name, header.name)) continue;
      if (found) out += ',';
      append_trimmed(out, header.value);
      found = true;
    }
    if (!found) return false;
    out += '\n';
  }
  out.append("\n").append(signed_headers).append("\n").append(payload_hash);
  return true;
}

std::string format_date(TimeMs time_ms) {
  const std::time_t seconds = time_ms / 1000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &parts)};
}

std::optional<TimeMs> parse_date(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  static constexpr std::array<std::pair<int, int>, 6> kFields = {{{0, 4}, {4, 2}, {6, 2}, {9, 2}, {11, 2}, {13, 2}}};
  std::array<int, 6> values{};
  for (size_t i = 0; i < kFields.size(); ++i) {
    const char* begin = text.data() + kFields[i].first;
    const char* end = begin + kFields[i].second;
    for (const char* c = begin; c < end; ++c) {
      if (*c < '0' || *c > '9') return std::nullopt;
    }
    std::from_chars(begin, end, values[i]);
  }
  std::tm parts{};
  parts.tm_year = values[0] - 1900;
  parts.tm_mon = values[1] - 1;
  parts.tm_mday = values[2];
  parts.tm_hour = values[3];
  parts.tm_min = values[4];
  parts.tm_sec = values[5];
  if (values[1] < 1 || values[1] > 12 || values[2] < 1 || values[2] > 31 || values[3] > 23 || values[4] > 59 ||
      values[5] > 60) {
    return std::nullopt;
  }
  return static_cast<TimeMs>(::timegm(&parts)) * 1000;
}

HmacKey derive_key(std::string_view secret, std::string_view date, std::string_view region, std::string_view service) {
  const Digest by_date = hmac_sha256(fmt::format("AWS4{}", secret), date);
  const Digest by_region = hmac_sha256(view(by_date), region);
  const Digest by_service = hmac_sha256(view(by_region), service);
  const Digest key = hmac_sha256(view(by_service), "aws4_request");
  return HmacKey(view(key));
}

std::vector<std::pair<std::string, std::string>> sign(const Request& request, const Key& key, std::string_view region,
                                                      std::string_view service, TimeMs now_ms) {
  std::vector<std::pair<std::string, std::string>> added;
  const std::string date = format_date(now_ms);
  added.emplace_back("X-Amz-Date", date);
  if (!key.session_token.empty()) added.emplace_back("X-Amz-Security-Token", key.session_token);

  std::vector<Header> headers(request.headers.begin(), request.headers.end());
  for (const auto& [name, value] : added) headers.push_back({name, value});
  std::vector<std::string> names;
  for (const Header& header : headers) {
    std::string lower(header.name);
    std::ranges::transform(lower, lower.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    names.push_back(std::move(lower));
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  std::string signed_headers;
  for (const std::string& name : names) signed_headers.append(signed_headers.empty() ? "" : ";").append(name);

  Request with_headers = request;
  with_headers.headers = headers;
  std::string canonical;
  append_canonical_request(canonical, with_headers, signed_headers, hex(sha256(request.body)));
  const std::string day = date.substr(0, 8);
  const std::string scope = fmt::format("{}/{}/{}/aws4_request", day, region, service);
  const std::string to_sign = fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", date, scope, hex(sha256(canonical)));
  const std::string signature = hex(derive_key(key.secret, day, region, service).sign(to_sign));
  added.emplace_back("Authorization", fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                                                  key.access_key_id, scope, signed_headers, signature));
  return added;
}

}  // namespace berth::sigv4
