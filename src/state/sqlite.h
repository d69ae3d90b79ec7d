// What the durable backend's two connections share. Internal to it.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "base/result.h"

namespace berth::state {

struct CloseDatabase {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
using Database = std::unique_ptr<sqlite3, CloseDatabase>;

tl::unexpected<Error> sqlite_failure(sqlite3* database, const std::string& what);
Result<void> execute(sqlite3* database, const char* sql);

}  // namespace berth::state
