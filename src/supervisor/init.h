// `berth-supervisor init -- program arguments…`: the container's first process where linuxParameters.initProcessEnabled
// asks for one. Runs the program as its child, forwards signals to it, reaps orphans, ends as the child ended.
#pragma once

namespace berth::supervisor {
int run_as_init(char** arguments);  // null-terminated
}
