#include "sim/simulation.h"

#include <fmt/format.h>

#include <algorithm>

#include "records/read.h"

namespace berth::sim {

namespace keys = records::keys;

namespace {

constexpr int64_t kLeaseMs = 30'000;
constexpr TimeMs kBegan = 1'700'000'000'000;
constexpr size_t kStoryMax = 400;
// A system that never stops writing is not at rest. A restart looks at every task, three a round at the least, and several
// restarts may fall into one moment.
constexpr int kRoundsAtOneMomentMax = 500;
constexpr int kRoundsOfATaskMax = 8;
constexpr agent_simulated::Conduct kGoodConduct{
    .pull = {0, 3000}, .start = {0, 300}, .end = {0, 2000}, .release = {0, 500}};

}  // namespace

Simulation::Daemon::Daemon(Simulation& simulation, state::MemoryStore::Image image)
    : store(std::move(image)),
      for_control(
          store, Author::control, [&simulation](const std::string& what) { simulation.violated(what); },
          [&simulation] { return !simulation.calm_ && simulation.random_.below(200) == 0; },
          [this, &simulation](const auto& applied, state::Revision at) { simulation.promise(*this, applied, at); }),
      for_agent(
          store, Author::agent, [&simulation](const std::string& what) { simulation.violated(what); },
          [] { return false; },
          [this, &simulation](const auto& applied, state::Revision at) { simulation.promise(*this, applied, at); }),
      for_user(
          store, Author::user, [&simulation](const std::string& what) { simulation.violated(what); },
          [] { return false; },
          [this, &simulation](const auto& applied, state::Revision at) { simulation.promise(*this, applied, at); }),
      index(store),
      addresses(store) {
  simulation.checker_.attach(store);
  loop = std::make_unique<control::Control>(for_control, index, addresses, simulation.random_, simulation.settings(),
                                            [](dataplane::NetworkChange) {});
  agents.resize(simulation.machines_.size());
  for (size_t i = 0; i < agents.size(); ++i) simulation.join(*this, i);
}

// Its agent comes anew, and with it the host is registered, unless it is cut off.
void Simulation::join(Daemon& daemon, size_t host) {
  const std::string id = fmt::format("{:016x}", host + 1);
  const auto known = records::get<records::Host>(daemon.store, keys::host(keys::kHost, id));
  const bool is_cut_off = cut_off_until_[host] > now_;
  records::Host registered;
  if (is_cut_off && known) {
    registered = *known;
  } else {
    registered.id = id;
    registered.memory_mib = memory_mib_;
    registered.lease_ms = host == 0 ? 0 : kLeaseMs;
    registered = control::register_host(daemon.for_control, registered, now_);
  }
  daemon.agents[host] =
      std::make_unique<agent_simulated::Agent>(daemon.for_agent, *machines_[host], random_, registered, faults());
  daemon.agents[host]->set_partitioned(is_cut_off);
}

Simulation::Simulation(uint64_t seed, Planted planted, std::map<std::string, int>& rare)
    : random_(seed),
      planted_(planted),
      rare_(rare),
      began_(kBegan),
      now_(kBegan),
      memory_mib_(kTaskMemoryMib * (random_.chance(20) ? 2 + static_cast<int64_t>(random_.below(7)) : 1000)),
      checker_([this](const std::string& what) { violated(what); }),
      workload_(random_, [this](const std::string& what) { say(what); }) {
  const size_t hosts = random_.chance(50) ? 1 : 2 + random_.below(2);
  for (size_t i = 0; i < hosts; ++i)
    machines_.push_back(std::make_unique<agent_simulated::Machine>(random_, agent_simulated::Conduct{}));
  cut_off_until_.assign(hosts, 0);
  restart({});
}

control::Settings Simulation::settings() {
  control::Settings settings;
  settings.decisions_max = random_.chance(20) ? 3 : 512;
  settings.rare = settings.lifecycle.rare = settings.deployment.rare = this;
  settings.bug = planted_.loop;
  settings.lifecycle.bug = planted_.lifecycle;
  settings.deployment.bug = planted_.deployment;
  return settings;
}

agent_simulated::Faults Simulation::faults() {
  agent_simulated::Faults faults;
  faults.rare = this;
  faults.bug = planted_.agent;
  if (calm_) return faults;
  faults.drops = 30;
  faults.delays = 50;
  faults.duplicates = 30;
  faults.look_at_all_ms = 5000;
  return faults;
}

agent_simulated::Conduct Simulation::misconduct() {
  agent_simulated::Conduct conduct = kGoodConduct;
  const auto chance = [&] { return random_.chance(30) ? static_cast<uint32_t>(random_.below(300)) : 0; };
  conduct.pull_fails = chance() / 3;
  conduct.start_fails = chance() / 3;
  conduct.crashes = chance();
  conduct.out_of_memory = chance() / 3;
  conduct.turns_unhealthy = 2 * chance();
  conduct.supervisor_lost = chance() / 3;
  return conduct;
}

void Simulation::say(const std::string& what) {
  story_.push_back(fmt::format("{:>10.3f} s  {}", static_cast<double>(now_ - began_) / 1000, what));
  if (story_.size() > kStoryMax) story_.pop_front();
}

void Simulation::violated(const std::string& what) {
  say("VIOLATED: " + what);
  if (!failed()) outcome_.violation = what;
}

void Simulation::restart(state::MemoryStore::Image image) {
  daemon_.reset();
  daemon_ = std::make_unique<Daemon>(*this, std::move(image));
  keep_promises();
}

// What a caller has been told is durable must be there after every restart, or be what a later write has made of it.
void Simulation::promise(Daemon& daemon, const state::Transaction& applied, state::Revision at) {
  std::vector<std::string> written;
  for (const state::Write& write : applied.writes) {
    if (write.value)
      written.push_back(write.key);
    else
      promised_.erase(write.key);  // a promise to erase is none that a restart can be held to
  }
  if (applied.durability != state::Durability::acknowledged) return;
  const auto told = [this, written = std::move(written), at](bool durable) {
    if (!durable) return;
    for (const std::string& key : written) promised_[key] = std::max(promised_[key], at);
  };
  if (planted_.answers_before_durable) return told(true);
  daemon.store.when_durable(at, told);
}

void Simulation::keep_promises() {
  for (const auto& [key, revision] : promised_) {
    const auto entry = daemon_->store.get(key);
    if (!entry || entry->mod_revision < revision)
      return violated(fmt::format("an acknowledged write is lost: {} of revision {}", key, revision));
  }
}

void Simulation::kill(bool power_loss) {
  ++outcome_.faults;
  if (power_loss) {
    const size_t kept = random_.below(6);
    say(fmt::format("fault: power loss, {} derived commits survive", kept));
    auto image = daemon_->store.after_power_loss(kept);
    for (const auto& machine : machines_) machine->reboot(now_);
    return restart(std::move(image));
  }
  say("fault: kill -9 of the daemon");
  restart(daemon_->store.after_kill());
}

void Simulation::settle() { daemon_->store.settle(); }

void Simulation::control_pass(std::optional<TimeMs>& next) {
  checker_.before_control(now_);
  next = daemon_->loop->run(now_);
  checker_.after_control(!next || *next > now_);
}

// One turn of the daemon. In trouble commits come late, and a kill may come between any two of its steps.
std::optional<TimeMs> Simulation::round() {
  std::optional<TimeMs> control_next, agent_next;
  const int killed_before = !calm_ && random_.below(100) == 0 ? static_cast<int>(random_.below(4)) : -1;
  const bool late = !calm_ && random_.chance(10);
  const int full_before = !calm_ && random_.below(100) == 0 ? static_cast<int>(random_.below(4)) : -1;
  for (int step = 0; step < 4 && !failed(); ++step) {
    if (step == killed_before) {
      kill(random_.chance(20));
      return now_;
    }
    if (step == full_before) fail_commits();
    if (step == 0 && !late) settle();
    if (step == 1) control_pass(control_next);
    if (step == 2 && !late) settle();
    if (step == 3) {
      agent_next = agents_pass();
    }
  }
  if (!control_next) return agent_next;
  return agent_next ? std::min(*control_next, *agent_next) : control_next;
}

std::optional<TimeMs> Simulation::agents_pass() {
  std::optional<TimeMs> next;
  const auto sooner = [&](TimeMs at) { next = next ? std::min(*next, at) : at; };
  for (size_t i = 0; i < machines_.size(); ++i) {
    auto& agent = daemon_->agents[i];
    if (agent->partitioned() && cut_off_until_[i] <= now_) agent->set_partitioned(false);
    // An agent whose host was given up registers again; so it does where a failed commit took that back.
    const auto record =
        records::get<records::Host>(daemon_->store, keys::host(keys::kHost, fmt::format("{:016x}", i + 1)));
    if (!daemon_->agents[i]->partitioned() && (!record || record->lost)) join(*daemon_, i);
    if (const auto at = daemon_->agents[i]->run(now_)) sooner(*at);
    if (daemon_->agents[i]->partitioned()) sooner(cut_off_until_[i]);
    checker_.check_starts(machines_[i]->take_starts());
  }
  return next;
}

void Simulation::pass_time(int64_t ms) {
  const TimeMs until = now_ + ms;
  int at_this_moment = 0;
  while (!failed()) {
    const state::Revision before = daemon_->store.head();
    const auto next = round();
    const bool quiet =
        daemon_->store.head() == before && !daemon_->store.something_queued() && !(next && *next <= now_);
    if (!quiet) {
      if (++at_this_moment > kRoundsAtOneMomentMax + kRoundsOfATaskMax * static_cast<int>(checker_.tasks()))
        return violated(fmt::format("no rest within {} rounds at one moment", at_this_moment));
      continue;
    }
    if (now_ >= until) return;
    now_ = next ? std::min(*next, until) : until;
    at_this_moment = 0;
  }
}

void Simulation::fail_commits() {
  const int count = static_cast<int>(1 + random_.below(3));
  say(fmt::format("fault: the next {} commits fail", count));
  ++outcome_.faults;
  daemon_->store.fail_next_commits(count);
}

void Simulation::cut_off() {
  if (machines_.size() == 1) return;
  const size_t host = 1 + random_.below(machines_.size() - 1);
  cut_off_until_[host] = now_ + 1 + static_cast<int64_t>(random_.below(random_.chance(50) ? 10'000 : 200'000));
  daemon_->agents[host]->set_partitioned(true);
  say(fmt::format("fault: host {} is cut off for {} ms", host + 1, cut_off_until_[host] - now_));
  ++outcome_.faults;
}

void Simulation::fault() {
  if (machines_.size() > 1 && random_.chance(30)) return cut_off();
  switch (random_.below(6)) {
    case 0: return kill(false);
    case 1:
      if (random_.chance(50)) return kill(true);
      return;
    case 2: return fail_commits();
    default:
      say("fault: the machine changes its conduct");
      ++outcome_.faults;
      for (const auto& machine : machines_) machine->set_conduct(misconduct());
  }
}

void Simulation::trouble() {
  workload_.prepare(daemon_->for_user);
  settle();
  const int steps = static_cast<int>(5 + random_.below(10));
  for (int i = 0; i < steps && !failed(); ++i) {
    ++outcome_.steps;
    workload_.step(daemon_->for_user, now_);
    if (random_.chance(35)) fault();
    // Often nothing between two wishes, mostly seconds, seldom a while.
    const uint64_t kind = random_.below(10);
    if (kind == 0) continue;
    pass_time(static_cast<int64_t>(kind < 9 ? random_.below(20'000) : random_.below(300'000)));
  }
}

void Simulation::calm() {
  if (failed()) return;
  if (random_.chance(20)) {  // what was asked last is lost, and control has to find that out
    fail_commits();
    workload_.step(daemon_->for_user, now_);
    settle();
  }
  say("calm");
  calm_ = true;
  for (const auto& machine : machines_) machine->set_conduct(kGoodConduct);
  for (TimeMs& until : cut_off_until_) until = now_;
  daemon_->store.fail_next_commits(0);
  workload_.bring_to_good(daemon_->for_user, now_);
  settle();
  if (random_.chance(30)) kill(false);  // not always: a restart heals what a failed commit has left behind
  for (const auto& agent : daemon_->agents) agent->set_faults(faults());
  pass_time(20'000);
  if (random_.chance(50))
    for (const auto& machine : machines_)
      if (machine->turn_unhealthy(now_)) say("all checks of a host turn bad");
  pass_time(kRestMs);
  if (!failed()) checker_.at_rest(machines_, now_, memory_mib_ * static_cast<int64_t>(machines_.size()));
}

void Simulation::end() {
  if (failed()) return;
  say("bad services are deleted, an hour passes");
  for (const auto& [key, before] : records::range<records::ServiceSpec>(daemon_->store, keys::kServiceSpec)) {
    const auto status = records::get<records::ServiceStatus>(
        daemon_->store, std::string(keys::kServiceStatus) + key.substr(keys::kServiceSpec.size()));
    const bool good = status && !status->deployments.empty() && is_good(status->deployments.front().revision.revision);
    if (before->deleted_at_ms != 0 || good) continue;
    records::ServiceSpec spec = *before;
    spec.deleted_at_ms = now_;
    state::Transaction transaction;
    records::put(transaction, key, spec);
    (void)daemon_->for_user.apply(std::move(transaction));  // no reads: no conflict
  }
  pass_time(62 * 60'000);
  if (!failed()) checker_.at_the_end(machines_, now_);
}

Outcome Simulation::run() {
  trouble();
  calm();
  if (random_.chance(30)) end();
  outcome_.story.assign(story_.begin(), story_.end());
  return std::move(outcome_);
}

}  // namespace berth::sim
