// The services of AWS that an endpoint can be made for. Endpoints are kept and described; nothing answers behind them.
#pragma once

#include <string>
#include <string_view>

namespace berth::services::ec2 {

struct EndpointService {
  std::string_view name;  // in com.amazonaws.<region>.<name>
  bool gateway = false;   // S3 and DynamoDB have both types

  std::string full_name(std::string_view region) const;
};

// Of "com.amazonaws.<region>.<name>"; null: there is no such service.
const EndpointService* find_endpoint_service(std::string_view full_name, std::string_view region);

}  // namespace berth::services::ec2
