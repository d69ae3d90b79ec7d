// The AWS endpoint: an HTTP request becomes a Call, or an error of AWS's. Knows no sockets; everything happens on the I/O
// thread.
//
// A request names its service by its credential scope (and X-Amz-Target), its operation by X-Amz-Target, Action or its path;
// which of these says which protocol it speaks, and it is answered in that. Order
// of checks: service, operation, signature, body, model. A service or operation of AWS that is not served is named in
// the answer, status 400: clients retry what fails with 5xx.
#pragma once

#include <string>
#include <vector>

#include "base/caller.h"
#include "base/clock.h"
#include "base/random.h"
#include "model/descriptor.h"
#include "model/json_codec.h"
#include "sigv4/sigv4.h"
#include "wire/call.h"
#include "wire/http.h"

namespace berth::wire {

struct EndpointOptions {
  bool authenticate = true;
  // Whom requests come from when nobody asks: --auth off. Its region counts where a request names none.
  Caller anonymous = {};
  std::string machine_name = {};  // --auth off: one of the hosts that a request may name
};

class Endpoint final : public HttpHandler {
 public:
  // All borrowed.
  Endpoint(const Dispatcher& dispatcher, sigv4::KeyLookup& keys, const Clock& clock, Random& random,
           EndpointOptions options)
      : dispatcher_(dispatcher), verifier_(keys), clock_(clock), random_(random), options_(std::move(options)) {}

  void handle(const HttpRequest& request, Reply reply) override;
  void batch_end() override { dispatcher_.batch_end(); }

 private:
  struct Target {
    const model::Service* service = nullptr;
    const model::Operation* operation = nullptr;
    model::Protocol protocol = model::Protocol::json;
  };
  struct Failure {
    ApiError error;
    const model::Service* service = nullptr;
    const model::Operation* operation = nullptr;
    model::Protocol protocol = model::Protocol::json;
  };
  tl::expected<const model::Service*, Failure> find_service(const HttpRequest& request) const;
  tl::expected<Target, Failure> find_target(const HttpRequest& request) const;
  tl::expected<std::unique_ptr<Call>, Failure> make_call(const HttpRequest& request, const std::string& request_id,
                                                         Reply& reply);
  ApiResult<Caller> authenticate(const HttpRequest& request, const model::Service& service, TimeMs now_ms);

  const Dispatcher& dispatcher_;
  sigv4::Verifier verifier_;
  const Clock& clock_;
  Random& random_;
  const EndpointOptions options_;
  std::vector<model::Path> missing_;
};

}  // namespace berth::wire
