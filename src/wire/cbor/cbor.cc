#include "model/cbor_codec.h"
#include "model/error_body.h"
#include "wire/codec.h"

namespace berth::wire {
namespace {

// https://smithy.io/2.0/additional-specs/protocols/smithy-rpc-v2.html
class CborCodec final : public Codec {
 public:
  ApiResult<void> read(const HttpRequest& request, const model::Operation& operation, void* input,
                       std::vector<model::Path>& missing) const override {
    auto read = model::read_cbor(request.body, *operation.input, input, &missing);
    if (!read) return refuse("SerializationException", std::move(read.error().message));
    return {};
  }

  void render(const model::Operation& operation, const void* output, std::string_view,
              HttpResponse& response) const override {
    response.headers += kProtocol;
    if (!operation.output) return;  // neither body nor type
    response.content_type = kType;
    if (output) {
      model::append_cbor(response.body, *operation.output, output);
    } else {
      response.body = kEmptyMap;
    }
  }

  void render_error(const model::Service* service, const model::Operation* operation, const ApiError& error,
                    std::string_view, HttpResponse& response) const override {
    response.status = model::error_status(operation, error);
    response.content_type = kType;
    response.headers += kProtocol;
    append_query_error(service, operation, error, response);
    model::append_cbor_error(response.body, operation, error);
  }

 private:
  static constexpr std::string_view kProtocol = "smithy-protocol: rpc-v2-cbor\r\n";
  static constexpr std::string_view kType = "application/cbor";
  static constexpr std::string_view kEmptyMap = "\xa0";
};

}  // namespace

const Codec& cbor_codec() {
  static const CborCodec codec;
  return codec;
}

}  // namespace berth::wire
