// `berth host` and `berth doctor`: what must work without a running daemon.
#pragma once

#include <string>
#include <vector>

namespace berth::host {

int host(const std::vector<std::string>& argv);
int doctor(const std::vector<std::string>& argv);

}  // namespace berth::host
