#include "agent/images/image_name.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>

namespace berth::images {
namespace {

constexpr size_t kNameBytesMax = 255;
constexpr size_t kTagBytesMax = 128;

bool lower(char c) { return c >= 'a' && c <= 'z'; }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool upper(char c) { return c >= 'A' && c <= 'Z'; }
bool hex(char c) { return digit(c) || (c >= 'a' && c <= 'f'); }

// [a-z0-9]+ joined by one '.', one or two '_', or any number of '-'.
bool valid_component(std::string_view text) {
  size_t at = 0;
  while (true) {
    const size_t begin = at;
    while (at < text.size() && (lower(text[at]) || digit(text[at]))) ++at;
    if (at == begin) return false;
    if (at == text.size()) return true;
    if (text[at] == '.') {
      ++at;
    } else if (text[at] == '_') {
      at += at + 1 < text.size() && text[at + 1] == '_' ? 2 : 1;
    } else if (text[at] == '-') {
      while (at < text.size() && text[at] == '-') ++at;
    } else {
      return false;
    }
  }
}

bool valid_path(std::string_view path) {
  while (true) {
    const size_t slash = path.find('/');
    if (!valid_component(path.substr(0, slash))) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
}

bool valid_domain(std::string_view domain) {
  const size_t colon = domain.find(':');
  std::string_view host = domain.substr(0, colon);
  if (colon != domain.npos) {
    const std::string_view port = domain.substr(colon + 1);
    if (port.empty() || port.size() > 5 || !std::all_of(port.begin(), port.end(), digit)) return false;
    if (std::atoi(std::string(port).c_str()) > 65535) return false;
  }
  while (true) {
    const size_t dot = host.find('.');
    const std::string_view label = host.substr(0, dot);
    if (label.empty() || label.front() == '-' || label.back() == '-') return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return lower(c) || upper(c) || digit(c) || c == '-'; })) {
      return false;
    }
    if (dot == host.npos) return true;
    host.remove_prefix(dot + 1);
  }
}

bool valid_tag(std::string_view tag) {
  const auto word = [](char c) { return lower(c) || upper(c) || digit(c) || c == '_'; };
  return !tag.empty() && tag.size() <= kTagBytesMax && word(tag[0]) &&
         std::all_of(tag.begin(), tag.end(), [&](char c) { return word(c) || c == '.' || c == '-'; });
}

}  // namespace

bool is_sha256_digest(std::string_view text) {
  return text.size() == 71 && text.starts_with("sha256:") && std::all_of(text.begin() + 7, text.end(), hex);
}

std::string ImageName::canonical() const {
  return repository() + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest);
}

std::string ImageName::pull_reference() const { return repository() + (digest.empty() ? ":" + tag : "@" + digest); }

Result<ImageName> parse_image_name(std::string_view text) {
  const std::string shown(text.substr(0, 2 * kNameBytesMax));
  const auto invalid = [&](std::string_view why) { return fail(fmt::format("'{}' is no image name: {}", shown, why)); };
  ImageName name;
  if (const size_t at = text.find('@'); at != text.npos) {
    name.digest = text.substr(at + 1);
    if (!is_sha256_digest(name.digest)) return invalid("after '@' stands sha256: and 64 hexadecimal digits");
    text = text.substr(0, at);
  }
  // A colon after the last slash begins a tag; one before it belongs to the domain's port.
  const size_t last_slash = text.rfind('/');
  const size_t colon = text.find(':', last_slash == text.npos ? 0 : last_slash);
  if (colon != text.npos) {
    name.tag = text.substr(colon + 1);
    if (!valid_tag(name.tag)) return invalid("a tag has letters, digits, '_', '.' and '-', 128 at most");
    text = text.substr(0, colon);
  } else if (name.digest.empty()) {
    name.tag = "latest";
  }
  const size_t slash = text.find('/');
  const std::string_view first = text.substr(0, slash);
  const bool has_domain = slash != text.npos && (first.find_first_of(".:") != first.npos || first == "localhost" ||
                                                 std::any_of(first.begin(), first.end(), upper));
  name.domain = has_domain ? first : "docker.io";
  name.path = has_domain ? text.substr(slash + 1) : text;
  if (name.domain == "index.docker.io") name.domain = "docker.io";
  if (name.path.size() == 64 && std::all_of(name.path.begin(), name.path.end(), hex) && !has_domain) {
    return invalid("64 hexadecimal digits would be taken for an image's id");
  }
  if (name.domain == "docker.io" && name.path.find('/') == name.path.npos) name.path = "library/" + name.path;
  if (!valid_domain(name.domain)) return invalid("its registry is no host name");
  if (!valid_path(name.path)) {
    return invalid("repositories are lower-case letters and digits, joined by '.', '_', '-' and '/'");
  }
  if (name.repository().size() > kNameBytesMax) return invalid("it is longer than 255 bytes");
  return name;
}

RegistryAddress registry_address(const ImageName& name) {
  if (name.domain == "docker.io") return {"registry-1.docker.io", 443};
  const size_t colon = name.domain.find(':');
  if (colon == name.domain.npos) return {name.domain, 443};
  return {name.domain.substr(0, colon), std::atoi(name.domain.c_str() + colon + 1)};
}

}  // namespace berth::images
