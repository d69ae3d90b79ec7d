// What a simulated container does, said by words in its image's name or in its variable BERTH_SIMULATED,
// separated by blanks, commas or plus signs; words that are not of ours are ignored, so any image does
// something: it runs until stopped.
//
//   exit:3          ends by itself with this code            after:50ms      … so long after its start
//   (default 0; also s) unhealthy:2s    its check turns bad so long after start  healthy:1s      its check
//   turns good so late (default at once) oom             ends as one killed for memory            ignore-term
//   ends only by SIGKILL, after its stopTimeout pull-fails      its image cannot be pulled start-fails     it
//   cannot be started pull:3s         pulling takes so long
#pragma once

#include <cstdint>
#include <optional>

#include "records/task_definition.h"

namespace berth::agent_simulated {

struct Script {
  std::optional<int> exit_code;  // absent: until stopped
  int64_t after_ms = 0;
  int64_t healthy_ms = 0;
  std::optional<int64_t> unhealthy_ms;
  int64_t pull_ms = 0;
  bool out_of_memory = false;
  bool ignores_term = false;
  bool pull_fails = false;
  bool start_fails = false;
};

// RunTask's overrides are applied in `container` already.
Script script_of(const records::ContainerDefinition& container);

}  // namespace berth::agent_simulated
