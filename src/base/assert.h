// A broken invariant ends the process: tasks live on in their supervisors, and a restart begins from what is on disk.
// Never for input: a wrong request is an ApiError.
#pragma once

namespace berth {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);
}

#define BERTH_ASSERT(expression) ((expression) ? (void)0 : ::berth::assertion_failed(#expression, __FILE__, __LINE__))
