// One protocol of AWS: how a request's body becomes an input struct and an output struct or an error becomes a body.
// Each lives in a folder of its own and interprets the model's tables. Stateless; any thread.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/descriptor.h"
#include "model/json_codec.h"
#include "wire/http.h"

namespace berth::wire {

class Codec {
 public:
  virtual ~Codec() = default;
  // `missing` gets the required members that are absent.
  virtual ApiResult<void> read(const HttpRequest& request, const model::Operation& operation, void* input,
                               std::vector<model::Path>& missing) const = 0;
  // `output` null: an empty answer.
  virtual void render(const model::Operation& operation, const void* output, std::string_view request_id,
                      HttpResponse& response) const = 0;
  // `operation` null: the request did not get so far.
  virtual void render_error(const model::Service* service, const model::Operation* operation, const ApiError& error,
                            std::string_view request_id, HttpResponse& response) const = 0;
};

const Codec& json_codec();      // json11/: AWS JSON 1.0 and 1.1
const Codec& query_codec();     // query/
const Codec& ec2query_codec();  // ec2query/
const Codec& cbor_codec();      // cbor/: Smithy's RPC v2
const Codec& codec_for(model::Protocol protocol);

// For clients that were made for a service's older query protocol: its code for the error, in a header. Nothing for other
// services.
void append_query_error(const model::Service* service, const model::Operation* operation, const ApiError& error,
                        HttpResponse& response);

// Errors only, in the form of protocols that no service of ours speaks, so that a client of S3 or CloudWatch can read
// that they are not served.
void render_foreign_error(model::Protocol protocol, const ApiError& error, std::string_view request_id,
                          HttpResponse& response);

}  // namespace berth::wire
