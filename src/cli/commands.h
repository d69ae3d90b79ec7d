// The subcommands that are clients of a running daemon. Each returns the exit status: 0 done, 1 the world said no (one
// line on standard error with the remedy), 2 wrong usage. `argv` begins with the subcommand's name.
#pragma once

#include <string>
#include <vector>

namespace berth::cli {

int configure(const std::vector<std::string>& argv);
int image(const std::vector<std::string>& argv);
int logs(const std::vector<std::string>& argv);
int net(const std::vector<std::string>& argv);
int ps(const std::vector<std::string>& argv);
int stop(const std::vector<std::string>& argv);

}  // namespace berth::cli
