// Where the programs are that Berth starts: beside this one, else where Debian would install them.
#pragma once

#include <string>

namespace berth {

std::string program_beside(const std::string& name);

}  // namespace berth
