#include "admin/admin.h"

#include <gtest/gtest.h>

#include "records/read.h"
#include "records/task.h"
#include "state/memory_store.h"

namespace berth::admin {
namespace {

class Answers final : public wire::ReplySink {
 public:
  void post(uint64_t, std::unique_ptr<wire::Answer> answer) override {
    wire::HttpResponse response;
    answer->render(response);
    texts.push_back(std::to_string(response.status) + " " + response.body);
  }
  std::vector<std::string> texts;
};

// A daemon with one task that never stops; every request is answered, or waits, before the next is made.
class AdminTest : public ::testing::Test {
 protected:
  void SetUp() override {
    state::Transaction transaction;
    put(transaction, records::keys::task(records::keys::kTaskSpec, {{"0", "r"}, "c", "abc"}), records::TaskSpec{});
    ASSERT_TRUE(store.apply(std::move(transaction)));
    admin.serve(endpoint);
  }
  void ask(const std::string& method, const std::string& path, const std::string& query, const std::string& body) {
    endpoint.handle({method, path, query, {}, body}, wire::Reply(answers, 1));
    run_posted();
  }
  void run_posted() {
    state_thread.end();
    state_thread.run({[] {}, [](TimeMs) { return std::nullopt; }});
  }

  SystemClock clock;
  SystemRandom random;
  state::MemoryStore store{[] {}};
  records::TaskIndex tasks{store};
  records::NetworkIndex networks{store};
  front::World world{store, tasks, networks, clock, random, {}, {}, true};
  front::StateThread state_thread{clock};
  wire::AdminEndpoint endpoint;
  std::shared_ptr<Answers> answers = std::make_shared<Answers>();
  bool services_held = false;
  int ends = 0;
  Admin admin{
      {world, "", "", "", "", nullptr, state_thread, [this](bool held) { services_held = held; }, [this] { ++ends; }}};
};

TEST_F(AdminTest, StopTasksOnAFullDiskIsToldAndCanBeTriedAgain) {
  store.settle();
  store.fail_next_commits(1);
  const std::string stop = R"({"stopTasks":true})";
  ask("POST", "/stop", "", stop);
  EXPECT_TRUE(services_held);
  store.settle();
  ASSERT_EQ(answers->texts.size(), 1u);
  EXPECT_TRUE(answers->texts[0].starts_with("500 {\"message\":\"the tasks' stop could not be written"));
  EXPECT_FALSE(services_held) << "services go on";
  EXPECT_TRUE(store.range(records::keys::kTaskIntent).empty());

  ask("POST", "/stop", "", stop);
  store.settle();
  EXPECT_TRUE(services_held);
  EXPECT_EQ(store.range(records::keys::kTaskIntent).size(), 1u);
  state::Transaction transaction;
  records::TaskStatus status;
  status.state = records::TaskState::stopped;
  put(transaction, records::keys::task(records::keys::kTaskStatus, {{"0", "r"}, "c", "abc"}), status);
  ASSERT_TRUE(store.apply(std::move(transaction)));
  admin.answer_those_who_wait();
  ASSERT_EQ(answers->texts.size(), 2u);
  EXPECT_EQ(answers->texts[1].substr(0, 3), "200");
  EXPECT_EQ(ends, 1);
}

TEST_F(AdminTest, WhoeverWaitsIsAnsweredWhenTheDaemonEnds) {
  ask("GET", "/tasks/abc/logs", "beyond=10", "");
  ask("POST", "/stop", "", R"({"stopTasks":true})");
  admin.answer_those_who_wait();
  EXPECT_EQ(answers->texts.size(), 0u);
  admin.end();
  ask("GET", "/tasks/abc/logs", "beyond=10", "");  // taken by the server before it stopped
  ask("POST", "/stop", "", R"({"stopTasks":true})");
  ASSERT_EQ(answers->texts.size(), 4u);
  for (const std::string& text : answers->texts)
    EXPECT_TRUE(text.starts_with("503 {\"message\":\"the daemon is ending"));
  EXPECT_EQ(ends, 0);
}

}  // namespace
}  // namespace berth::admin
