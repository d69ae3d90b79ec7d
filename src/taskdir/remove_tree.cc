#include "taskdir/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>

namespace berth::taskdir {
namespace {

constexpr int kDepthMax = 32;
constexpr int kTakenNamesMax = 100;

struct Removal {
  int top;             // what is too deep is moved here, and removed in a later round
  unsigned names = 0;  // given so far
  bool moved = false;  // in this round
};

// A name of ours may be one of the container's: the next one then.
bool move_up(Removal& removal, int directory, const char* name) {
  for (int tries = 0; tries < kTakenNamesMax; ++tries) {
    char aside[32];
    snprintf(aside, sizeof aside, ".deep.%u", removal.names++);
    if (renameat(directory, name, removal.top, aside) == 0) return removal.moved = true;
    if (errno != ENOTEMPTY && errno != EEXIST && errno != ENOTDIR) return false;
  }
  return false;
}

// Takes over `directory`.
void empty(Removal& removal, int directory, int depth) {
  DIR* listing = fdopendir(directory);
  if (listing == nullptr) {
    close(directory);
    return;
  }
  while (const dirent* entry = readdir(listing)) {
    const char* name = entry->d_name;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) continue;
    if (unlinkat(directory, name, 0) == 0 || unlinkat(directory, name, AT_REMOVEDIR) == 0) continue;
    if (depth == kDepthMax) {
      move_up(removal, directory, name);
      continue;
    }
    const int child = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (child < 0) continue;
    empty(removal, child, depth + 1);
    unlinkat(directory, name, AT_REMOVEDIR);
  }
  closedir(listing);
}

}  // namespace

void remove_tree(int parent, const char* name) {
  if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return;
  const int top = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (top < 0) return;
  Removal removal{top};
  do {
    removal.moved = false;
    const int again = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);  // its listing begins at the beginning
    if (again < 0) break;
    empty(removal, again, 0);
  } while (removal.moved);
  close(top);
  unlinkat(parent, name, AT_REMOVEDIR);
}

}  // namespace berth::taskdir
