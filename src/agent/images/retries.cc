#include "agent/images/retries.h"

#include <algorithm>
#include <cctype>

namespace berth::images {

std::optional<int> Retries::next_wait_ms(int64_t elapsed_ms) {
  if (count_ == kPullRetriesMax) return std::nullopt;
  const int wait_ms = kPullRetryFirstMs << count_;
  if (elapsed_ms + wait_ms >= window_ms_) return std::nullopt;
  ++count_;
  return wait_ms;
}

bool may_pass(std::string_view cause) {
  // strerror's, getaddrinfo's and our own words, then those of Go and of the registry client that skopeo is made of.
  // 429 is not among them: that client waits by itself where a registry asks for patience.
  constexpr std::string_view kPassing[] = {
      "connection refused",
      "connection reset",
      "connection timed out",
      "broken pipe",
      "no route to host",
      "network is unreachable",
      "network is down",
      "host is down",
      "temporary failure in name resolution",
      "i/o timeout",
      "tls handshake timeout",
      "unexpected eof",
      ": eof",
      "http status: 5",
      "http code: 5",
      "statuscode: 5",
      "from registry 5",
      "server misbehaving",
  };
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  return std::any_of(std::begin(kPassing), std::end(kPassing), [&](std::string_view words) {
    return std::search(cause.begin(), cause.end(), words.begin(), words.end(), same) != cause.end();
  });
}

}  // namespace berth::images
