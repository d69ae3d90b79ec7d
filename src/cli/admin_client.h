// One request to the daemon of a state directory, over its socket DIR/admin.sock (0600: who may open it may do all).
#pragma once

#include <string>

#include "base/fd.h"
#include "base/json.h"
#include "base/result.h"

namespace berth::cli {

// The answer's JSON. An answer other than 2xx is an error with the daemon's own message; a daemon that does not run is
// an error that says how to start it. Waits for as long as the daemon works.
Result<json::Value> ask_daemon(const std::string& state_directory, const std::string& method, const std::string& path,
                               const json::Value& body = {});

// For an answer that comes when something has happened: asks, and returns the connection. It becomes readable when the
// answer comes or the daemon goes away; read_answer() then tells which.
Result<Fd> begin_to_ask(const std::string& state_directory, const std::string& path);
Result<json::Value> read_answer(const Fd& connection);

// The same for a request that makes the daemon end: waits until its process is gone, and with it whatever it takes away
// at its end. The answer is null where somebody else ended it before it had one.
Result<json::Value> end_daemon(const std::string& state_directory, const std::string& path, const json::Value& body);

}  // namespace berth::cli
