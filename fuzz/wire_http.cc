// Bytes as a connection brings them: the first byte says how they are cut into reads. Each request goes through the
// endpoint without authentication, so that the protocols behind it are reached; each must be answered exactly once.
#include <cstdlib>

#include "base/random.h"
#include "wire/endpoint.h"
#include "wire/message_parser.h"

namespace {

using namespace berth;

class NoKeys final : public sigv4::KeyLookup {
 public:
  std::shared_ptr<const sigv4::Key> find(std::string_view) override { return nullptr; }
};

class Counter final : public wire::ReplySink {
 public:
  void post(uint64_t, std::unique_ptr<wire::Answer> answer) override {
    ++answers;
    if (!answer) std::abort();
    wire::HttpResponse response;
    answer->render(response);
    if (response.status < 200 || response.status > 599) std::abort();
  }
  int answers = 0;
};

const wire::Dispatcher& dispatcher() {
  static const wire::Dispatcher made = [] {
    wire::Dispatcher all;
    for (const model::Service* service : model::services()) {
      for (const model::Operation* operation : service->operations) {
        all.serve(*operation, [](std::unique_ptr<wire::Call> call) {
          if (call->operation.output) {
            call->respond(ApiError{"InvalidParameterException", call->caller.region});
          } else {
            call->respond_empty();
          }
        });
      }
    }
    return all;
  }();
  return made;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static NoKeys keys;
  static FakeClock clock;
  static Prng random(1);
  static wire::Endpoint open(dispatcher(), keys, clock, random,
                             {.authenticate = false, .anonymous = {"1", "r", "a", "k"}});
  static wire::Endpoint closed(dispatcher(), keys, clock, random, {});
  const size_t step = size_t{data[0]} + 1;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const wire::MessageLimits limits{.header_bytes_max = 2000, .body_bytes_max = 5000, .headers_max = 20};
  wire::MessageParser parser(limits);
  std::string buffer;
  size_t fed = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t count = std::min(step, text.size() - at);
    buffer.append(text, at, count);
    at += count;
    while (true) {
      const size_t used = parser.feed(buffer, fed);
      if (used > buffer.size()) std::abort();
      parser.takes_continue();
      if (parser.state() == wire::MessageParser::State::broken) return 0;
      if (parser.state() == wire::MessageParser::State::receiving) {
        fed = used;
        break;
      }
      const auto counter = std::make_shared<Counter>();
      open.handle(parser.request(std::string_view(buffer).substr(0, used)), wire::Reply(counter, 1));
      closed.handle(parser.request(std::string_view(buffer).substr(0, used)), wire::Reply(counter, 1));
      if (counter->answers != 2) std::abort();
      buffer.erase(0, used);
      fed = 0;
      parser.next();
      if (buffer.empty()) break;
    }
  }
  return 0;
}
