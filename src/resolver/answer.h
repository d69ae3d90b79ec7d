// A question to the resolver of a VPC, answered from what is known, or sent outside. Pure, given chance.
//
//   the longest private zone that the name lies in ─▶ its answer; never one from outside
//   a public host name of the VPC's own           ─▶ the private address
//   ip-10-0-0-5.<region>.compute.internal, and back ─▶ every address of the VPC's CIDRs
//   everything else                               ─▶ the host's name servers
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "resolver/directory.h"
#include "resolver/wire/message.h"

namespace berth::resolver {

enum class Verdict {
  answered,  // `size` bytes are written
  forward,   // the client's own question goes outside
  chase,     // `chain` leads to `next`, which is outside: its answer completes ours
};

struct Outcome {
  Verdict verdict = Verdict::answered;
  size_t size = 0;
  std::vector<Record> chain = {};  // CNAME records, in order
  std::string next = {};
  bool alias = false;  // the addresses of `next` are given under the question's own name
};

// `vpc` null: nothing is known of it, all is asked outside. The answer is written to `out`; it is cut to what the client's
// UDP takes unless `tcp`.
Outcome answer(const VpcEntry* vpc, const Query& query, Random& random, bool tcp, char* out, size_t size);

// The answer to a chase, `outside` being what the host's server said.
size_t complete(const Query& query, const Outcome& chase, const Answer& outside, bool tcp, char* out, size_t size);

inline constexpr size_t kAnswersMax = 8;   // MULTIVALUE
inline constexpr uint32_t kHostTtlS = 60;  // of interfaces' names

}  // namespace berth::resolver
