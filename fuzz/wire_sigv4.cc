// Authorization headers, dates, paths and queries of any form: lines of the input. Nothing may be accepted, since no
// fuzzer knows the secret, but for what sign() itself made.
#include <cstdlib>

#include "sigv4/sigv4.h"

namespace {

using namespace berth::sigv4;

class OneKey final : public KeyLookup {
 public:
  std::shared_ptr<const Key> find(std::string_view id) override { return id == key->access_key_id ? key : nullptr; }
  const std::shared_ptr<const Key> key =
      std::make_shared<Key>(Key{"AKID", "s3cr3t that is nowhere in the corpus", "", 0, "1", "a"});
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static OneKey keys;
  static Verifier verifier(keys);
  constexpr berth::TimeMs kNow = 1772366400000;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::string_view lines[5];
  for (std::string_view& line : lines) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  const auto& [authorization, date, path, query, extra] = lines;
  const Header headers[] = {{"Host", "h"}, {"Authorization", authorization}, {"X-Amz-Date", date}, {"X-Extra", extra}};
  if (verifier.verify({"POST", path, query, headers, rest}, "ecs", kNow)) std::abort();
  peek_scope(headers);

  // What is signed is accepted, whatever the path, query, header and body are.
  if (query.find("X-Amz-Signature=") != query.npos || query.find("X-Amz-Algorithm=") != query.npos) return 0;
  const Header plain[] = {{"Host", "h"}, {"X-Extra", extra}};
  const Request request{"POST", path, query, plain, rest};
  const auto added = sign(request, *keys.key, "eu-central-1", "ecs", kNow);
  std::vector<Header> all(std::begin(plain), std::end(plain));
  for (const auto& [name, value] : added) all.push_back({name, value});
  if (!verifier.verify({"POST", path, query, all, rest}, "ecs", kNow)) std::abort();
  return 0;
}
