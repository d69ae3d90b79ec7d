#include "wire/call.h"

#include "wire/codec.h"

namespace berth::wire {
namespace {

class CallAnswer final : public Answer {
 public:
  CallAnswer(const Call& call, std::shared_ptr<const void> output)
      : operation_(call.operation),
        protocol_(call.protocol),
        request_id_(call.request_id),
        output_(std::move(output)) {}
  void render(HttpResponse& response) override {
    response.request_id = request_id_;
    codec_for(protocol_).render(operation_, output_.get(), request_id_, response);
  }

 private:
  const model::Operation& operation_;
  const model::Protocol protocol_;
  const std::string request_id_;
  const std::shared_ptr<const void> output_;
};

class ErrorAnswer final : public Answer {
 public:
  ErrorAnswer(const Call& call, ApiError error)
      : operation_(call.operation), protocol_(call.protocol), request_id_(call.request_id), error_(std::move(error)) {}
  void render(HttpResponse& response) override {
    response.request_id = request_id_;
    codec_for(protocol_).render_error(operation_.service, &operation_, error_, request_id_, response);
  }

 private:
  const model::Operation& operation_;
  const model::Protocol protocol_;
  const std::string request_id_;
  const ApiError error_;
};

}  // namespace

Call::~Call() {
  if (reply_.pending()) respond(ApiError{"ServerException", "The request was given up before it was answered.", 500});
}

void Call::respond(ApiError error) { reply_.send(std::make_unique<ErrorAnswer>(*this, std::move(error))); }

void Call::respond_raw(std::shared_ptr<const void> output) {
  reply_.send(std::make_unique<CallAnswer>(*this, std::move(output)));
}

void Dispatcher::serve(const model::Operation& operation, Handler handler) {
  const bool added = handlers_.emplace(&operation, std::move(handler)).second;
  BERTH_ASSERT(added);
}

const Handler* Dispatcher::find(const model::Operation& operation) const {
  const auto found = handlers_.find(&operation);
  return found == handlers_.end() ? nullptr : &found->second;
}

}  // namespace berth::wire
