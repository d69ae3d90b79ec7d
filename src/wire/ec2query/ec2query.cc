#include <fmt/format.h>

#include <array>

#include "wire/codec.h"
#include "wire/query/form.h"
#include "wire/query/xml.h"

namespace berth::wire {
namespace {

struct OuterError {
  std::string_view type, code, message;  // message empty: the error's own
  int status;
};
constexpr std::array kOuterErrors = {
    OuterError{"MissingAuthenticationTokenException", "MissingAuthenticationToken",
               "Request is missing Authentication Token", 403},
    OuterError{"UnrecognizedClientException", "AuthFailure",
               "AWS was not able to validate the provided access credentials", 401},
    OuterError{"InvalidSignatureException", "SignatureDoesNotMatch", "", 403},
    OuterError{"IncompleteSignatureException", "IncompleteSignature", "", 400},
    OuterError{"ExpiredTokenException", "RequestExpired", "Request has expired.", 400},
    OuterError{"AccessDeniedException", "UnauthorizedOperation", "", 403},
    OuterError{"UnknownOperationException", "InvalidAction", "", 400},
    OuterError{"ThrottlingException", "RequestLimitExceeded", "", 503},
    OuterError{"ServerException", "InternalError", "", 500},
};

class Ec2QueryCodec final : public Codec {
 public:
  ApiResult<void> read(const HttpRequest& request, const model::Operation& operation, void* input,
                       std::vector<model::Path>& missing) const override {
    const auto form = Form::parse(request.method == "GET" ? request.query : request.body);
    if (!form) return tl::unexpected(form.error());
    return read_form(*form, *operation.input, input, missing);
  }

  void render(const model::Operation& operation, const void* output, std::string_view request_id,
              HttpResponse& response) const override {
    response.content_type = "text/xml;charset=UTF-8";
    std::string& out = response.body;
    out += fmt::format("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{}Response xmlns=\"{}/\">", operation.name,
                       operation.service->xml_namespace);
    append_xml_element(out, "requestId", request_id);
    // AWS answers so where the model has no output.
    if (!operation.output) append_xml_element(out, "return", "true");
    if (output) append_xml_members(out, *operation.output, output, true);
    out += fmt::format("</{}Response>", operation.name);
  }

  void render_error(const model::Service*, const model::Operation*, const ApiError& error, std::string_view request_id,
                    HttpResponse& response) const override {
    std::string_view code = error.type, message = error.message;
    response.status = error.status;
    for (const OuterError& outer : kOuterErrors) {
      if (outer.type != error.type) continue;
      code = outer.code;
      response.status = outer.status;
      if (!outer.message.empty()) message = outer.message;
    }
    response.content_type = "text/xml;charset=UTF-8";
    std::string& out = response.body;
    out += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error>";
    append_xml_element(out, "Code", code);
    append_xml_element(out, "Message", message);
    out += "</Error></Errors>";
    append_xml_element(out, "RequestID", request_id);
    out += "</Response>";
  }
};

}  // namespace

const Codec& ec2query_codec() {
  static const Ec2QueryCodec codec;
  return codec;
}

}  // namespace berth::wire
