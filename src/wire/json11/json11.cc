#include "model/error_body.h"
#include "wire/codec.h"

namespace berth::wire {
namespace {

class JsonCodec final : public Codec {
 public:
  ApiResult<void> read(const HttpRequest& request, const model::Operation& operation, void* input,
                       std::vector<model::Path>& missing) const override {
    auto read = model::read_json(request.body, *operation.input, input, &missing);
    if (!read) return refuse("SerializationException", std::move(read.error().message));
    return {};
  }

  void render(const model::Operation& operation, const void* output, std::string_view,
              HttpResponse& response) const override {
    response.content_type = content_type(operation.service);
    if (output) {
      model::append_json(response.body, *operation.output, output);
    } else {
      // CloudWatch Logs answers operations without output with an empty body; every client reads {} as well.
      response.body = operation.output ? "{}" : "";
    }
  }

  void render_error(const model::Service* service, const model::Operation* operation, const ApiError& error,
                    std::string_view, HttpResponse& response) const override {
    response.status = model::error_status(operation, error);
    response.content_type = content_type(service);
    append_query_error(service, operation, error, response);
    model::append_json_error(response.body, operation, error);
  }

 private:
  static std::string_view content_type(const model::Service* service) {
    return service && service->json_version == "1.0" ? "application/x-amz-json-1.0" : "application/x-amz-json-1.1";
  }
};

}  // namespace

const Codec& json_codec() {
  static const JsonCodec codec;
  return codec;
}

}  // namespace berth::wire
