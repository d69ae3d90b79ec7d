#include "wire/http.h"

#include "base/assert.h"

namespace berth::wire {

bool equal_ignoring_case(std::string_view lower, std::string_view text) {
  if (lower.size() != text.size()) return false;
  for (size_t i = 0; i < lower.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

std::string_view HttpRequest::header(std::string_view lower) const {
  for (const sigv4::Header& header : headers) {
    if (equal_ignoring_case(lower, header.name)) return header.value;
  }
  return {};
}

Reply& Reply::operator=(Reply&& other) noexcept {
  if (this == &other) return *this;
  if (sink_) sink_->post(connection_, nullptr);
  sink_ = std::move(other.sink_);
  connection_ = other.connection_;
  return *this;
}

Reply::~Reply() {
  if (sink_) sink_->post(connection_, nullptr);
}

void Reply::send(std::unique_ptr<Answer> answer) {
  BERTH_ASSERT(sink_ != nullptr);
  std::exchange(sink_, nullptr)->post(connection_, std::move(answer));
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 412: return "Precondition Failed";
    case 413: return "Payload Too Large";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    default: return status < 400 ? "OK" : status < 500 ? "Bad Request" : "Internal Server Error";
  }
}

void append_head(std::string& out, const HttpResponse& response, std::string_view date, bool keep_alive) {
  out.append("HTTP/1.1 ")
      .append(std::to_string(response.status))
      .append(" ")
      .append(reason_phrase(response.status))
      .append("\r\n");
  if (!response.request_id.empty()) out.append("x-amzn-RequestId: ").append(response.request_id).append("\r\n");
  if (!response.content_type.empty()) out.append("Content-Type: ").append(response.content_type).append("\r\n");
  out.append("Content-Length: ")
      .append(std::to_string(response.body.size()))
      .append("\r\nDate: ")
      .append(date)
      .append("\r\n");
  out.append(response.headers);
  if (!keep_alive) out.append("Connection: close\r\n");
  out.append("\r\n");
}

void append_stream_head(std::string& out, const HttpResponse& response, std::string_view date, bool keep_alive,
                        StreamHead kind) {
  out.append("HTTP/1.1 ")
      .append(std::to_string(response.status))
      .append(" ")
      .append(reason_phrase(response.status))
      .append("\r\nDate: ")
      .append(date)
      .append("\r\n");
  if (!response.content_type.empty()) out.append("Content-Type: ").append(response.content_type).append("\r\n");
  if (kind == StreamHead::chunked) out += "Transfer-Encoding: chunked\r\n";
  if (kind != StreamHead::upgrade && !keep_alive) out += "Connection: close\r\n";
  out.append(response.headers).append("\r\n");
}

}  // namespace berth::wire
