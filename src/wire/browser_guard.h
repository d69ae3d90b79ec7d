// Keeps web pages out where signatures are not checked (--auth off). A page of anybody's, open in a browser on this
// machine, can send a form to 127.0.0.1, and by DNS rebinding even read the answer. A signature stops both; without it
// the headers that no page can forge must.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wire/http.h"

namespace berth::wire {

// Why the request is refused, a whole sentence; nothing where it may go on. `machine_name` is this host's own.
//
// Host must be something that nobody else can point at this machine: an address, `localhost`, a name of one label
// (containers' names; no public name has one label), a name below .localhost or .internal (both are never public), this
// machine's name, or one of AWS's own names, which some clients keep while they connect elsewhere. `data-` and other
// prefixes that SDKs put before an address or name are allowed. Origin and Sec-Fetch-Site must be absent or say that the
// page is our own.
std::optional<std::string> why_refused_without_signatures(const HttpRequest& request, std::string_view machine_name);

}  // namespace berth::wire
