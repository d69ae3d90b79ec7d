// The body of an answer that is an error: "__type", the message, and what else the model gives the error. Any thread.
#pragma once

#include <string>

#include "base/result.h"
#include "model/descriptor.h"

namespace berth::model {

// The status that the model gives the error; the error's own where that says more than 400, or the model is silent.
int error_status(const Operation* operation, const ApiError& error);

// `operation` null: the request did not get so far. Members that the model does not know are lists of strings.
void append_json_error(std::string& out, const Operation* operation, const ApiError& error);
void append_cbor_error(std::string& out, const Operation* operation, const ApiError& error);

}  // namespace berth::model
