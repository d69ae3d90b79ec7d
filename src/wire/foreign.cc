#include "wire/codec.h"
#include "wire/query/xml.h"

namespace berth::wire {

const Codec& codec_for(model::Protocol protocol) {
  switch (protocol) {
    case model::Protocol::query: return query_codec();
    case model::Protocol::ec2: return ec2query_codec();
    case model::Protocol::cbor: return cbor_codec();
    default: return json_codec();
  }
}

void append_query_error(const model::Service* service, const model::Operation* operation, const ApiError& error,
                        HttpResponse& response) {
  if (!service || !service->query_compatible) return;
  const model::ErrorShape* shape = operation ? model::find_error(*operation, error.type) : nullptr;
  response.headers.append("x-amzn-query-error: ")
      .append(shape ? shape->code : std::string_view(error.type))
      .append(error.status >= 500 ? ";Receiver\r\n" : ";Sender\r\n");
}

void render_foreign_error(model::Protocol protocol, const ApiError& error, std::string_view request_id,
                          HttpResponse& response) {
  switch (protocol) {
    case model::Protocol::rest_json:
      json_codec().render_error(nullptr, nullptr, error, request_id, response);
      response.content_type = "application/json";
      response.headers += "x-amzn-ErrorType: " + error.type + "\r\n";
      return;
    case model::Protocol::rest_xml:
      response.status = error.status;
      response.content_type = "application/xml";
      response.body += "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>";
      append_xml_element(response.body, "Code", error.type);
      append_xml_element(response.body, "Message", error.message);
      append_xml_element(response.body, "RequestId", request_id);
      response.body += "</Error>";
      return;
    default: codec_for(protocol).render_error(nullptr, nullptr, error, request_id, response);
  }
}

}  // namespace berth::wire
