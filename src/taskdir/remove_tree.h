// Removes directories that containers have filled: with a bounded number of open descriptors and of nested calls, however
// deep they are. Blocking; as long as there are files. No state.
#pragma once

namespace berth::taskdir {

// `name` in `parent` (or AT_FDCWD), and what is below. Stays on the file system and follows no link; what cannot be removed
// stays.
void remove_tree(int parent, const char* name);

}  // namespace berth::taskdir
