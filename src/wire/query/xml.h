// Structs to XML, for the answers of the two query protocols.
#pragma once

#include <string>
#include <string_view>

#include "model/descriptor.h"

namespace berth::wire {

void append_xml_text(std::string& out, std::string_view text);
void append_xml_element(std::string& out, std::string_view name, std::string_view text);
// The members of a structure, each an element, without an element around them. Lists are always wrapped by their member's
// name: EC2's answers are, and query's are unless flattened.
void append_xml_members(std::string& out, const model::Shape& shape, const void* object, bool ec2);

}  // namespace berth::wire
