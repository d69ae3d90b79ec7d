#include "base/json.h"
#include "wire/codec.h"
#include "wire/query/xml.h"

namespace berth::wire {
namespace {

void append_cbor_text(std::string& out, std::string_view text) {
  constexpr char kText = 0x60;
  if (text.size() < 24) {
    out += static_cast<char>(kText | static_cast<char>(text.size()));
  } else {
    text = text.substr(0, 0xffff);
    out += static_cast<char>(kText | 25);
    out += static_cast<char>(text.size() >> 8);
    out += static_cast<char>(text.size() & 0xff);
  }
  out += text;
}

}  // namespace

const Codec& codec_for(model::Protocol protocol) {
  switch (protocol) {
    case model::Protocol::query: return query_codec();
    case model::Protocol::ec2: return ec2query_codec();
    default: return json_codec();
  }
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
    case model::Protocol::cbor:
      response.status = error.status;
      response.content_type = "application/cbor";
      response.headers += "smithy-protocol: rpc-v2-cbor\r\n";
      response.body += '\xa2';  // a map of two
      append_cbor_text(response.body, "__type");
      append_cbor_text(response.body, error.type);
      append_cbor_text(response.body, "message");
      append_cbor_text(response.body, error.message);
      return;
    default: codec_for(protocol).render_error(nullptr, nullptr, error, request_id, response);
  }
}

}  // namespace berth::wire
