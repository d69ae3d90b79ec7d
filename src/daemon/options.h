// The flags of `berth serve`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace berth::daemon {

struct Options {
  std::string listen_address = "127.0.0.1";
  uint16_t listen_port = 4566;  // 0: any free one, told in the ready line
  std::string state_directory;
  std::string account;
  std::string region;
  bool enforce_signatures = true;
  bool simulated_agent = false;
  double memory_overcommit = 1.0;
  std::string vpc_cidr;     // empty: 172.31.0.0/16, or the next free one below
  std::string public_cidr;  // empty: the first free /20 of 198.18.0.0/15
};

extern const char* const kServeHelp;

// `argv` begins with "serve". A wrong value is an error that names the flag and what it takes.
Result<Options> parse_options(const std::vector<std::string>& argv);

}  // namespace berth::daemon
