// What a task promises, with real containers.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "supervise_world.h"
#include "agent/runtime/users.h"
#include "taskdir/cgroups.h"

namespace berth::host_test {
namespace {

using taskdir::Fact;
using taskdir::FactKind;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class SuperviseHostTest : public SuperviseWorld {};

TEST_F(SuperviseHostTest, RunsAContainerAndTellsItsEnd) {
  const Fact exited = run_to_end(container("main", "echo out; echo err >&2; echo -n last; exit 7"));
  EXPECT_EQ(exited.exit_code, 7u);
  EXPECT_EQ(exited.signal, 0u);
  EXPECT_FALSE(exited.oom);
  EXPECT_THAT(last_lines(), testing::UnorderedElementsAre("out", "err", "last"));
  EXPECT_NE(find(last_task_, FactKind::finished), nullptr);
  EXPECT_EQ(find(last_task_, FactKind::stop_begun)->container, 0u);
}

}  // namespace
}  // namespace berth::host_test
