#include "wire/browser_guard.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace berth::wire {
namespace {

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

// "name:port" and "[::1]:port" without the port.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
  return host.substr(0, host.find(':'));
}

bool is_address(const std::string& host) {
  in_addr v4;
  in6_addr v6;
  return ::inet_pton(AF_INET, host.c_str(), &v4) == 1 || ::inet_pton(AF_INET6, host.c_str(), &v6) == 1;
}

bool only_we_answer(const std::string& host, std::string_view machine_name) {
  constexpr std::array kSuffixes = {".localhost", ".internal", ".amazonaws.com", ".amazonaws.com.cn", ".api.aws"};
  if (host.find('.') == std::string::npos || is_address(host)) return true;
  if (std::any_of(kSuffixes.begin(), kSuffixes.end(), [&](const char* suffix) { return host.ends_with(suffix); }))
    return true;
  const std::string own = lowered(machine_name);
  return !own.empty() && (host == own || host == own + ".local");
}

// SDKs put what an operation asks for before the host: data-127.0.0.1.
bool is_prefixed_address(const std::string& host) {
  const size_t dash = host.find('-');
  return dash != std::string::npos && host.find('.') > dash && is_address(host.substr(dash + 1));
}

}  // namespace

std::optional<std::string> why_refused_without_signatures(const HttpRequest& request, std::string_view machine_name) {
  const std::string_view host_and_port = request.header("host");
  const std::string host = lowered(without_port(host_and_port));
  if (!only_we_answer(host, machine_name) && !is_prefixed_address(host)) {
    return fmt::format(
        "With --auth off Berth answers only to its address, localhost, this machine's name and names that nobody else can "
        "give it; the Host of this request is '{}'.",
        host.substr(0, 128));
  }
  const std::string_view site = request.header("sec-fetch-site");
  const std::string_view origin = request.header("origin");
  const bool foreign_site = !site.empty() && site != "same-origin" && site != "none";
  const bool foreign_origin = !origin.empty() && lowered(origin) != "http://" + lowered(host_and_port) &&
                              lowered(origin) != "https://" + lowered(host_and_port);
  if (foreign_site || foreign_origin)
    return fmt::format("With --auth off Berth takes no request that a web page of another origin ('{}') sends.",
                       origin.substr(0, 128));
  return std::nullopt;
}

}  // namespace berth::wire
