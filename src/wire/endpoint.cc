#include "wire/endpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "model/validate.h"
#include "wire/browser_guard.h"
#include "wire/codec.h"
#include "wire/gzip.h"
#include "wire/query/form.h"

namespace berth::wire {
namespace {

class EndpointError final : public Answer {
 public:
  EndpointError(std::string request_id, ApiError error, const model::Service* service,
                const model::Operation* operation, model::Protocol protocol)
      : request_id_(std::move(request_id)),
        error_(std::move(error)),
        service_(service),
        operation_(operation),
        protocol_(protocol) {}
  void render(HttpResponse& response) override {
    response.request_id = request_id_;
    if (service_) {
      codec_for(protocol_).render_error(service_, operation_, error_, request_id_, response);
    } else {
      render_foreign_error(protocol_, error_, request_id_, response);
    }
  }

 private:
  const std::string request_id_;
  const ApiError error_;
  const model::Service* const service_;
  const model::Operation* const operation_;
  const model::Protocol protocol_;
};

std::string health() {
  std::string out;
  json::Writer writer(out);
  writer.begin_object().key("services").begin_object();
  for (const model::Service* service : model::services()) writer.member(service->name, "available");
  writer.end_object().end_object();
  out += '\n';
  return out;
}

// Without a service of ours: what the client can read. Several services speak more than one protocol, so the request says
// it better than the model, where it says it.
model::Protocol guess_protocol(const HttpRequest& request, model::Protocol otherwise = model::Protocol::rest_xml) {
  if (!request.header("x-amz-target").empty()) return model::Protocol::json;
  if (request.header("smithy-protocol") == "rpc-v2-cbor") return model::Protocol::cbor;
  if (request.header("content-type").starts_with("application/x-www-form-urlencoded")) {
    return otherwise == model::Protocol::ec2 ? otherwise : model::Protocol::query;
  }
  return request.header("content-type").starts_with("application/json") ? model::Protocol::rest_json : otherwise;
}

bool takes(const model::Service& service, model::Protocol protocol) {
  return std::find(service.protocols.begin(), service.protocols.end(), protocol) != service.protocols.end();
}

bool speaks_cbor(const HttpRequest& request) { return request.header("smithy-protocol") == "rpc-v2-cbor"; }

// What the request speaks, be it that the service does not take it.
model::Protocol protocol_of(const HttpRequest& request, const model::Service& service) {
  if (speaks_cbor(request)) return model::Protocol::cbor;
  if (!request.header("x-amz-target").empty() && takes(service, model::Protocol::json)) return model::Protocol::json;
  if (request.method == "GET" || request.header("content-type").starts_with("application/x-www-form-urlencoded")) {
    for (const model::Protocol form : {model::Protocol::query, model::Protocol::ec2})
      if (takes(service, form)) return form;
  }
  return service.protocol;
}

bool is_form(model::Protocol protocol) {
  return protocol == model::Protocol::query || protocol == model::Protocol::ec2;
}

// The end of the path, "/service/NAME/operation/NAME"; whatever stands before it does not count. A service may come with its
// namespace.
struct RpcPath {
  std::string_view service, operation;
};
std::optional<RpcPath> rpc_path(std::string_view path) {
  std::string_view segments[4];
  for (int i = 3; i >= 0; --i) {
    const size_t slash = path.rfind('/');
    if (slash == path.npos) return std::nullopt;
    segments[i] = path.substr(slash + 1);
    path = path.substr(0, slash);
  }
  if (segments[0] != "service" || segments[2] != "operation") return std::nullopt;
  return RpcPath{segments[1].substr(segments[1].rfind('.') + 1), segments[3]};
}

// The value of one parameter, without reading the rest: Action and Version are short and plain.
std::string_view peek_parameter(std::string_view form, std::string_view name) {
  for (size_t start = 0; start < form.size();) {
    const size_t end = std::min(form.find('&', start), form.size());
    const std::string_view part = form.substr(start, end - start);
    if (part.size() > name.size() && part[name.size()] == '=' && part.starts_with(name))
      return part.substr(name.size() + 1);
    start = end + 1;
  }
  return {};
}

std::string_view form_of(const HttpRequest& request) { return request.method == "GET" ? request.query : request.body; }

// Clients write Action and Version first.
constexpr size_t kBeginningBytes = 1024;

std::optional<ApiError> unpack(std::string_view body, std::string& text) {
  text.clear();
  switch (gunzip(body, limits::kGzipInflatedBytesMax, text)) {
    case Gunzip::whole: return std::nullopt;
    case Gunzip::broken: return ApiError{"SerializationException", "The request's body is not well-formed gzip."};
    case Gunzip::too_large:
      return ApiError{
          "RequestEntityTooLargeException",
          fmt::format("The request's body is larger than {} bytes when unpacked.", limits::kGzipInflatedBytesMax), 413};
  }
  return std::nullopt;
}

std::string shortened(std::string_view text) { return std::string(text.substr(0, 128)); }

// By what a request is made of, for requests without a credential scope.
const model::Service* service_by_shape(const HttpRequest& request) {
  if (speaks_cbor(request)) {
    const auto path = rpc_path(request.path);
    for (const model::Service* service : model::services()) {
      if (path && service->target_prefix == path->service) return service;
    }
    return nullptr;
  }
  const std::string_view target = request.header("x-amz-target");
  if (const size_t dot = target.rfind('.'); dot != target.npos) {
    for (const model::Service* service : model::services()) {
      if (service->target_prefix == target.substr(0, dot)) return service;
    }
    return nullptr;
  }
  const std::string_view version = peek_parameter(form_of(request), "Version");
  for (const model::Service* service : model::services()) {
    if (is_form(service->protocol) && service->api_version == version) return service;
  }
  return nullptr;
}

}  // namespace

void Endpoint::handle(const HttpRequest& request, Reply reply) {
  if (request.path == "/_berth/health" && (request.method == "GET" || request.method == "HEAD")) {
    reply.send(std::make_unique<TextAnswer>(200, "application/json", health()));
    return;
  }
  const std::string request_id = new_uuid(random_);
  auto call = make_call(request, request_id, reply);
  if (call) {
    const Handler* handler = dispatcher_.find((*call)->operation);
    (*handler)(std::move(*call));
    return;
  }
  Failure& failure = call.error();
  reply.send(std::make_unique<EndpointError>(request_id, std::move(failure.error), failure.service, failure.operation,
                                             failure.protocol));
}

auto Endpoint::find_service(const HttpRequest& request) const -> tl::expected<const model::Service*, Failure> {
  const auto failed = [&](std::string type, std::string message, model::Protocol protocol) {
    return tl::unexpected(Failure{ApiError{std::move(type), std::move(message)}, nullptr, nullptr, protocol});
  };
  const std::string_view scoped = sigv4::peek_scope(request.headers).service;
  const model::Service* service = scoped.empty() ? service_by_shape(request) : model::find_service(scoped);
  // A target of another service of ours outranks the scope: the check of the signature then says what the scope should have been.
  if (const model::Service* named = service ? service_by_shape(request) : nullptr; named && options_.authenticate)
    service = named;
  if (!service && !scoped.empty()) {
    if (const model::ForeignService* foreign = model::find_foreign_service(scoped)) {
      return failed("UnknownOperationException",
                    fmt::format("{} ({}) is not served by Berth.", foreign->full_name, foreign->signing_name),
                    guess_protocol(request, foreign->protocol));
    }
    return failed("UnknownOperationException", fmt::format("There is no service '{}'.", shortened(scoped)),
                  guess_protocol(request));
  }
  if (!service) {
    // Nothing says whom it is for: an unsigned request, or --auth off and a service that is not ours.
    if (options_.authenticate) {
      return failed("MissingAuthenticationTokenException", "Missing Authentication Token", guess_protocol(request));
    }
    return failed("UnknownOperationException", "The request names no service that Berth serves.",
                  guess_protocol(request));
  }
  return service;
}

auto Endpoint::find_target(const HttpRequest& request) const -> tl::expected<Target, Failure> {
  const auto found = find_service(request);
  if (!found) return tl::unexpected(found.error());
  const model::Service& service = **found;
  const model::Protocol protocol = protocol_of(request, service);
  const auto failed = [&](std::string type, std::string message) {
    return tl::unexpected(Failure{ApiError{std::move(type), std::move(message)}, &service, nullptr, protocol});
  };
  std::string_view name;
  const std::string_view target = request.header("x-amz-target");
  if (protocol == model::Protocol::cbor) {
    const auto path = rpc_path(request.path);
    if (!takes(service, protocol))
      return failed("UnknownOperationException", fmt::format("{} does not speak rpc-v2-cbor.", service.full_name));
    if (!target.empty())
      return failed("UnknownOperationException", "A request of rpc-v2-cbor must not have the header X-Amz-Target.");
    if (!path || path->service != service.target_prefix)
      return failed("UnknownOperationException",
                    fmt::format("The path '{}' names no operation of {}.", shortened(request.path), service.full_name));
    name = path->operation;
  } else if (is_form(protocol)) {
    name = peek_parameter(form_of(request), "Action");
    if (name.empty()) return failed("MissingAction", "The request must contain the parameter Action");
  } else {
    const size_t dot = target.rfind('.');
    if (dot == target.npos || target.substr(0, dot) != service.target_prefix) {
      return failed("UnknownOperationException",
                    fmt::format("X-Amz-Target '{}' names no operation of {}.", shortened(target), service.full_name));
    }
    name = target.substr(dot + 1);
  }
  const model::Operation* operation = model::find_operation(service, name);
  if (operation && dispatcher_.find(*operation)) return Target{&service, operation, protocol};
  if (operation || model::is_known_but_not_served(service, name)) {
    // EC2's own words: Terraform takes exactly them for "this endpoint does not have that".
    if (protocol == model::Protocol::ec2)
      return failed("UnknownOperationException", fmt::format("The action {} is not valid for this web service.", name));
    return failed("UnknownOperationException",
                  fmt::format("The operation {} of {} is not served by Berth.", name, service.full_name));
  }
  return failed("UnknownOperationException",
                fmt::format("'{}' is no operation of {} {}.", shortened(name), service.full_name, service.api_version));
}

ApiResult<Caller> Endpoint::authenticate(const HttpRequest& request, const model::Service& service, TimeMs now_ms) {
  if (options_.authenticate) {
    return verifier_.verify({request.method, request.path, request.query, request.headers, request.body},
                            service.signing_name, now_ms);
  }
  Caller caller = options_.anonymous;
  const sigv4::Scope scope = sigv4::peek_scope(request.headers);
  if (!scope.region.empty()) caller.region = scope.region;
  if (!scope.access_key_id.empty()) caller.access_key_id = scope.access_key_id;
  return caller;
}

auto Endpoint::make_call(const HttpRequest& request, const std::string& request_id, Reply& reply)
    -> tl::expected<std::unique_ptr<Call>, Failure> {
  if (!options_.authenticate) {
    if (auto why = why_refused_without_signatures(request, options_.machine_name))
      return tl::unexpected(
          Failure{{"AccessDeniedException", std::move(*why), 403}, nullptr, nullptr, guess_protocol(request)});
  }
  // The signature is over what was sent. Before it is checked, only so much is unpacked as names the operation.
  HttpRequest unpacked = request;
  std::string text;
  const bool is_packed = request.header("content-encoding") == "gzip";
  if (is_packed) unpacked.body = text = gunzip_beginning(request.body, kBeginningBytes);
  auto target = find_target(unpacked);
  if (!target) return tl::unexpected(std::move(target.error()));
  const model::Operation& operation = *target->operation;
  const auto failed = [&](ApiError error) {
    return tl::unexpected(Failure{std::move(error), target->service, &operation, target->protocol});
  };

  const TimeMs now_ms = clock_.now_ms();
  auto caller = authenticate(request, *target->service, now_ms);
  if (!caller) return failed(std::move(caller.error()));
  caller->source_address = request.peer;
  if (request.method != "POST" && (request.method != "GET" || !is_form(target->protocol))) {
    return failed(
        {"UnknownOperationException", fmt::format("{} asks for POST, not {}.", operation.name, request.method)});
  }

  if (is_packed) {
    if (auto error = unpack(request.body, text)) return failed(std::move(*error));
    unpacked.body = text;
  }
  std::shared_ptr<void> input = operation.make_input();
  missing_.clear();
  if (auto read = codec_for(target->protocol).read(unpacked, operation, input.get(), missing_); !read) {
    return failed(std::move(read.error()));
  }
  if (auto error = model::validate(operation, input.get(), missing_)) return failed(std::move(*error));
  return std::make_unique<Call>(operation, target->protocol, std::move(*caller), request_id, now_ms, std::move(input),
                                std::move(reply));
}

}  // namespace berth::wire
