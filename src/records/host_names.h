// The DNS names that EC2 gives to addresses of interfaces. us-east-1 keeps its old domains.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace berth::records {

inline std::string dashed(std::string address) {
  std::replace(address.begin(), address.end(), '.', '-');
  return address;
}

// ip-172-31-16-5.eu-central-1.compute.internal
inline std::string private_host_name(std::string_view address, std::string_view region) {
  return region == "us-east-1" ? fmt::format("ip-{}.ec2.internal", dashed(std::string(address)))
                               : fmt::format("ip-{}.{}.compute.internal", dashed(std::string(address)), region);
}

// ec2-198-18-0-5.eu-central-1.compute.amazonaws.com
inline std::string public_host_name(std::string_view address, std::string_view region) {
  return region == "us-east-1" ? fmt::format("ec2-{}.compute-1.amazonaws.com", dashed(std::string(address)))
                               : fmt::format("ec2-{}.{}.compute.amazonaws.com", dashed(std::string(address)), region);
}

}  // namespace berth::records
