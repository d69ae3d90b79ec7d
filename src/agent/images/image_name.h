// Names of images, normalised as Docker's (distribution/reference): nginx → docker.io/library/nginx:latest. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace berth::images {

struct ImageName {
  std::string domain;  // docker.io, localhost:5000, public.ecr.aws
  std::string path;    // library/nginx
  std::string tag;     // empty only where a digest is given
  std::string digest;  // sha256:<64 hex>, or empty

  std::string repository() const { return domain + "/" + path; }
  // With tag and digest, as far as there are; what is shown, stored and compared.
  std::string canonical() const;
  // For skopeo and registries, which take a tag or a digest but not both: the digest decides.
  std::string pull_reference() const;
  bool operator==(const ImageName&) const = default;
};

Result<ImageName> parse_image_name(std::string_view text);
bool is_sha256_digest(std::string_view text);

// Where the registry of a domain listens: docker.io → registry-1.docker.io:443.
struct RegistryAddress {
  std::string host;
  int port = 443;
  bool operator==(const RegistryAddress&) const = default;
};
RegistryAddress registry_address(const ImageName& name);

}  // namespace berth::images
