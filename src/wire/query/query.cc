#include <fmt/format.h>

#include <array>

#include "wire/codec.h"
#include "wire/query/form.h"
#include "wire/query/xml.h"

namespace berth::wire {
namespace {

// What the layer in front of every service says, in this protocol's older words.
struct OuterError {
  std::string_view type, code;
  int status;
};
constexpr std::array kOuterErrors = {
    OuterError{"MissingAuthenticationTokenException", "MissingAuthenticationToken", 403},
    OuterError{"UnrecognizedClientException", "InvalidClientTokenId", 403},
    OuterError{"InvalidSignatureException", "SignatureDoesNotMatch", 403},
    OuterError{"IncompleteSignatureException", "IncompleteSignature", 400},
    OuterError{"ExpiredTokenException", "ExpiredToken", 403},
    OuterError{"AccessDeniedException", "AccessDenied", 403},
    OuterError{"UnknownOperationException", "InvalidAction", 400},
    OuterError{"ThrottlingException", "Throttling", 400},
    OuterError{"ServerException", "InternalFailure", 500},
};

class QueryCodec final : public Codec {
 public:
  ApiResult<void> read(const HttpRequest& request, const model::Operation& operation, void* input,
                       std::vector<model::Path>& missing) const override {
    const auto form = Form::parse(request.method == "GET" ? request.query : request.body);
    if (!form) return tl::unexpected(form.error());
    return read_form(*form, *operation.input, input, missing);
  }

  void render(const model::Operation& operation, const void* output, std::string_view request_id,
              HttpResponse& response) const override {
    response.content_type = "text/xml";
    std::string& out = response.body;
    out += fmt::format("<{}Response xmlns=\"{}\">", operation.name, operation.service->xml_namespace);
    if (!operation.result_wrapper.empty()) out.append("<").append(operation.result_wrapper).append(">");
    if (output) append_xml_members(out, *operation.output, output, false);
    if (!operation.result_wrapper.empty()) out.append("</").append(operation.result_wrapper).append(">");
    out += "<ResponseMetadata>";
    append_xml_element(out, "RequestId", request_id);
    out += fmt::format("</ResponseMetadata></{}Response>", operation.name);
  }

  void render_error(const model::Service* service, const model::Operation* operation, const ApiError& error,
                    std::string_view request_id, HttpResponse& response) const override {
    std::string_view code = error.type;
    response.status = error.status;
    for (const OuterError& outer : kOuterErrors) {
      if (outer.type == error.type) {
        code = outer.code;
        response.status = outer.status;
      }
    }
    if (operation) {
      for (const model::ErrorShape& shape : operation->errors) {
        if (shape.name == error.type) {
          code = shape.code;
          response.status = shape.status;
        }
      }
    }
    response.content_type = "text/xml";
    std::string& out = response.body;
    out += "<ErrorResponse xmlns=\"";
    append_xml_text(out, service ? service->xml_namespace : "http://webservices.amazon.com/AWSFault/2005-15-09");
    out += "\"><Error>";
    append_xml_element(out, "Type", response.status >= 500 ? "Receiver" : "Sender");
    append_xml_element(out, "Code", code);
    append_xml_element(out, "Message", error.message);
    out += "</Error>";
    append_xml_element(out, "RequestId", request_id);
    out += "</ErrorResponse>";
  }
};

}  // namespace

const Codec& query_codec() {
  static const QueryCodec codec;
  return codec;
}

}  // namespace berth::wire
