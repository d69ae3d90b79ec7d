#include "daemon/daemon.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <thread>

#include "admin/admin.h"
#include "agent/network/host_objects.h"
#include "agent/network/instance.h"
#include "agent/network/network.h"
#include "agent/whole/real_agent.h"
#include "agent_simulated/agent.h"
#include "base/log.h"
#include "base/service_manager.h"
#include "cli/arguments.h"
#include "control/loop/control.h"
#include "control/loop/hosts.h"
#include "control/loop/order_writer.h"
#include "daemon/credentials.h"
#include "daemon/this_host.h"
#include "daemon/vpc_networks.h"
#include "front/api.h"
#include "logstore/log_store.h"
#include "records/network.h"
#include "records/read.h"
#include "services/ec2/default_vpc.h"
#include "services/discovery/discovery.h"
#include "services/ec2/ec2.h"
#include "services/ecs/ecs.h"
#include "services/logs/logs.h"
#include "services/sts/sts.h"
#include "sigv4/sigv4.h"
#include "state/sqlite_store.h"
#include "wire/admin.h"
#include "wire/endpoint.h"
#include "wire/server.h"

namespace berth::daemon {
namespace {

// The root keys are all the keys that there are until IAM is served.
class RootKeyLookup final : public sigv4::KeyLookup {
 public:
  RootKeyLookup(const RootKeys& keys, const std::string& account)
      : key_(std::make_shared<const sigv4::Key>(sigv4::Key{.access_key_id = keys.access_key_id,
                                                           .secret = keys.secret_access_key,
                                                           .account = account,
                                                           .arn = fmt::format("arn:aws:iam::{}:root", account)})) {}
  std::shared_ptr<const sigv4::Key> find(std::string_view id) override {
    return id == key_->access_key_id ? key_ : nullptr;
  }

 private:
  std::shared_ptr<const sigv4::Key> key_;
};

int64_t machine_memory_mib() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

std::string machine_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

Result<void> make_state_directory(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (::mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST) return fail(errno, "mkdir " + path);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail(errno, "mkdir " + path);
  if (::access(path.c_str(), R_OK | W_OK | X_OK) != 0) return fail(errno, "the state directory " + path);
  return {};
}

// Said before anything is made: whoever lacks the right for tasks often lacks the one for the default directory, too.
Result<void> check_rights(const Options& options) {
  if (options.simulated_agent || ::geteuid() == 0) return {};
  return fail(
      "running containers needs root: use sudo, or --agent simulated with a --state of your own to serve the API "
      "without running anything");
}

// Ctrl-C, a service manager, and a terminal that goes away, unless nohup said that this is nothing to us.
sigset_t ending_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  struct sigaction hangup {};
  if (::sigaction(SIGHUP, nullptr, &hangup) == 0 && hangup.sa_handler != SIG_IGN) sigaddset(&signals, SIGHUP);
  return signals;
}

bool is_loopback(const std::string& address) { return address.starts_with("127."); }

// Where clients on this machine find what listens on all addresses.
std::string address_for_clients(const std::string& listen_address) {
  return listen_address == "0.0.0.0" ? "127.0.0.1" : listen_address;
}

// Everything that serves, in the order in which it is made; destroyed in the opposite one.
class Daemon {
 public:
  explicit Daemon(Options options) : options_(std::move(options)), state_thread_(clock_) {}

  Result<void> prepare();
  int run(const ServiceManager& manager);
  // Where no task is left, nothing of ours stays on the host.
  void clean_up();

 private:
  Result<void> prepare_state();
  Result<void> prepare_agent();
  Result<void> prepare_server();
  std::optional<TimeMs> decide(TimeMs now_ms);
  void maintain_logs(TimeMs now_ms);

  const Options options_;
  SystemClock clock_;
  SystemRandom random_;
  front::StateThread state_thread_;
  std::unique_ptr<state::SqliteStore> store_;
  std::unique_ptr<records::TaskIndex> tasks_;
  std::unique_ptr<records::NetworkIndex> networks_;
  std::unique_ptr<control::Control> control_;
  RootKeys keys_;
  std::unique_ptr<front::World> world_;
  std::unique_ptr<logstore::LogStore> log_store_;
  TimeMs logs_due_ms_ = 0;  // at once at start

  std::unique_ptr<agent_simulated::Machine> simulated_machine_;
  std::unique_ptr<agent_simulated::Agent> simulated_agent_;
  std::unique_ptr<agent::RealAgent> agent_;

  services::Registry<model::Operation> registry_;
  wire::Dispatcher dispatcher_;
  std::unique_ptr<RootKeyLookup> key_lookup_;
  std::unique_ptr<wire::Endpoint> endpoint_;
  wire::AdminEndpoint admin_endpoint_;
  std::unique_ptr<front::Api> api_;
  std::unique_ptr<admin::Admin> admin_;
  std::unique_ptr<wire::Server> server_;
  uint16_t port_ = 0;
  std::unique_ptr<Workers> workers_;  // of the admin API
  std::optional<front::Pools> pools_{std::in_place};
};

Result<void> Daemon::prepare_state() {
  if (auto may = check_rights(options_); !may) return may;
  if (auto made = make_state_directory(options_.state_directory); !made) {
    if (made.error().errno_value == EACCES) made.error().context += "; name a directory of your own with --state";
    return made;
  }
  auto store = state::SqliteStore::open(options_.state_directory, [this] { state_thread_.committed(); });
  if (!store) return tl::unexpected(store.error());
  store_ = std::move(*store);
  auto keys = root_keys(options_.state_directory, random_);
  if (!keys) return tl::unexpected(keys.error());
  keys_ = std::move(*keys);
  tasks_ = std::make_unique<records::TaskIndex>(*store_);
  networks_ = std::make_unique<records::NetworkIndex>(*store_);
  // Held from the look at what is taken to the claim, so that two daemons which start together choose different networks.
  std::optional<network::Instance> instance;
  Fd choosing;
  if (!options_.simulated_agent && ::geteuid() == 0) {
    auto mine = network::instance_of(options_.state_directory);
    if (!mine) return tl::unexpected(mine.error());
    if (auto made = network::prepare_instance(*mine, options_.state_directory); !made) return made;
    auto lock = network::lock_file(std::string(network::kRunRoot) + "/lock", true);
    if (!lock) return tl::unexpected(lock.error());
    choosing = std::move(*lock);
    instance = std::move(*mine);
  }
  auto network = choose_network(options_, *store_, instance);
  if (!network) return tl::unexpected(network.error());
  const services::Capacity capacity{
      static_cast<int64_t>(static_cast<double>(machine_memory_mib()) * options_.memory_overcommit),
      int64_t{std::thread::hardware_concurrency()} * 1024};
  world_ = std::make_unique<front::World>(front::World{*store_, *tasks_, *networks_, clock_, random_, capacity,
                                                       std::move(*network), options_.simulated_agent});
  state::Transaction first;
  first.durability = state::Durability::acknowledged;
  services::ec2::ensure_default_vpc(*store_, {options_.account, options_.region}, world_->network, random_, first);
  if (!store_->get(records::kPublicPoolKey))
    records::put(first, std::string(records::kPublicPoolKey),
                 records::PublicPool{world_->network.public_pool.to_string(), world_->network.pool_announced});
  if (!first.empty() && !store_->apply(std::move(first))) return fail("the default VPC could not be recorded");
  for (state::Transaction& completion : services::ec2::complete_default_vpcs(*store_, random_))
    if (!store_->apply(std::move(completion))) return fail("a default VPC could not be completed");
  if (instance)
    if (auto claimed = claim_all(*instance, *store_); !claimed) return claimed;
  log_store_ = std::make_unique<logstore::LogStore>(options_.state_directory + "/logs");
  return {};
}

Result<void> Daemon::prepare_agent() {
  auto described = describe_this_host(options_.state_directory, machine_name(), world_->capacity.memory_mib,
                                      world_->capacity.cpu_units, random_);
  if (!described) return tl::unexpected(described.error());
  const records::Host host = control::register_host(*store_, std::move(*described), clock_.now_ms());
  if (const size_t taken = control::OrderWriter(*store_, random_).take_over(*store_, host, clock_.now_ms()))
    log_info("{} tasks of an older Berth are taken over by this host", taken);
  if (options_.simulated_agent) {
    simulated_machine_ = std::make_unique<agent_simulated::Machine>(random_, agent_simulated::Conduct{}, false);
    simulated_agent_ = std::make_unique<agent_simulated::Agent>(*store_, *simulated_machine_, random_, host);
    log_warning("the agent is simulated: the API is served whole, and nothing runs");
  } else {
    auto agent = agent::RealAgent::open({*store_, clock_, random_, options_.state_directory, host.id, host.epoch,
                                         [this](std::function<void()> job) { state_thread_.post(std::move(job)); },
                                         world_->network.public_pool, world_->network.pool_announced});
    if (!agent) return tl::unexpected(agent.error());
    agent_ = std::move(*agent);
  }
  control::Settings settings;
  settings.public_pool = world_->network.public_pool;
  control_ = std::make_unique<control::Control>(*store_, *tasks_, *networks_, random_, settings,
                                                [agent = agent_.get()](dataplane::NetworkChange change) {
                                                  if (agent) agent->apply(std::move(change));
                                                });
  return {};
}

Result<void> Daemon::prepare_server() {
  workers_ = std::make_unique<Workers>("worker", 4);
  services::ecs::add_handlers(registry_);
  services::sts::add_handlers(registry_);
  services::ec2::add_handlers(registry_);
  services::logs::add_handlers(registry_, *log_store_);
  services::discovery::add_handlers(registry_, store_->head());
  api_ = std::make_unique<front::Api>(*world_, state_thread_, *pools_);
  api_->serve(dispatcher_, registry_);
  dispatcher_.on_batch_end([this] { state_thread_.kick(); });

  if (!options_.enforce_signatures)
    log_warning("--auth off: any credential is accepted, and whoever reaches {} may do everything",
                options_.listen_address);
  if (!is_loopback(options_.listen_address))
    log_warning("{} may be reached by other machines, and there is no TLS: who is on the way reads what is sent",
                options_.listen_address);
  Caller anonymous{options_.account, options_.region, fmt::format("arn:aws:iam::{}:root", options_.account), ""};
  key_lookup_ = std::make_unique<RootKeyLookup>(keys_, options_.account);
  wire::EndpointOptions endpoint_options{options_.enforce_signatures, anonymous, machine_name()};
  endpoint_ = std::make_unique<wire::Endpoint>(dispatcher_, *key_lookup_, clock_, random_, std::move(endpoint_options));
  auto server = wire::Server::create(clock_);
  if (!server) return tl::unexpected(server.error());
  server_ = std::move(*server);
  auto port = server_->listen_tcp(options_.listen_address, options_.listen_port, *endpoint_);
  if (!port) {
    if (port.error().errno_value == EADDRINUSE)
      return fail(fmt::format("{}:{} is in use by another program; choose another port with --listen",
                              options_.listen_address, options_.listen_port));
    return tl::unexpected(port.error());
  }
  port_ = *port;
  admin::Admin::Needs needs{*world_,
                            options_.state_directory,
                            fmt::format("http://{}:{}", address_for_clients(options_.listen_address), port_),
                            options_.account,
                            options_.region,
                            agent_ ? &agent_->images() : nullptr,
                            state_thread_,
                            [this](bool held) { control_->hold_services(held); },
                            [] { ::kill(::getpid(), SIGTERM); },
                            [this] { return control_->network(); }};
  admin_ = std::make_unique<admin::Admin>(std::move(needs));
  admin_->serve(admin_endpoint_);
  return server_->listen_unix(options_.state_directory + "/admin.sock", admin_endpoint_);
}

Result<void> Daemon::prepare() {
  if (auto done = prepare_state(); !done) return done;
  if (auto done = prepare_agent(); !done) return done;
  return prepare_server();
}

std::optional<TimeMs> Daemon::decide(TimeMs now_ms) {
  std::optional<TimeMs> due = control_->run(now_ms);
  if (simulated_agent_) {
    const auto next = simulated_agent_->run(now_ms);
    if (next && (!due || *next < *due)) due = next;
  }
  admin_->answer_those_who_wait();
  if (now_ms >= logs_due_ms_) maintain_logs(now_ms);
  return due ? std::min(*due, logs_due_ms_) : logs_due_ms_;
}

// Retention, and what deleted groups left behind. A transaction is bounded: while there was one, there may be more to do.
void Daemon::maintain_logs(TimeMs now_ms) {
  constexpr int64_t kIntervalMs = 60 * 60 * 1000;
  auto maintenance = services::logs::maintain(*store_, *log_store_, now_ms);
  const bool more = !maintenance.transaction.empty();
  logs_due_ms_ = more ? now_ms : now_ms + kIntervalMs;
  const auto applied = store_->apply(std::move(maintenance.transaction));
  if (!applied) return;  // somebody else came between; the next round looks again
  if (maintenance.work)
    store_->when_durable(*applied, [this, work = std::move(maintenance.work)](bool durable) {
      if (durable) (*pools_)[services::Pool::logs].post(work);
    });
}

int Daemon::run(const ServiceManager& manager) {
  // The networks of tasks that run are told, and given their records where an older Berth made them, before the agent takes the
  // tasks over.
  control_->run(clock_.now_ms());
  if (agent_) agent_->start();
  std::thread state([this] {
    state_thread_.run({[this] { store_->settle(); }, [this](TimeMs now_ms) { return decide(now_ms); }});
  });
  pthread_setname_np(state.native_handle(), "state");
  std::thread io([this] { server_->run(); });
  pthread_setname_np(io.native_handle(), "io");

  fmt::print("ready http://{}:{} account {} region {} state {}{}\n", options_.listen_address, port_, options_.account,
             options_.region, options_.state_directory, options_.simulated_agent ? " (simulated agent)" : "");
  std::fflush(stdout);
  manager.tell("READY=1");

  const sigset_t signals = ending_signals();
  int signal = 0;
  sigwait(&signals, &signal);
  manager.tell("STOPPING=1");

  // The server waits for the requests that it has taken: first goes what would keep them.
  state_thread_.post([this] { admin_->end(); });
  if (agent_) agent_->stop();
  server_->stop();
  io.join();
  workers_->drop();  // nobody hears these answers any more
  pools_->drop();
  state_thread_.end();
  state.join();
  workers_.reset();
  pools_.reset();
  clean_up();
  return 0;
}

void Daemon::clean_up() {
  if (!store_) return;  // the directory is another daemon's
  ::unlink((options_.state_directory + "/admin.sock").c_str());
  if (options_.simulated_agent || admin::tasks_left(*store_) > 0) return;
  Result<void> removed;
  if (agent_)
    removed = agent_->remove_from_host();
  else if (const auto cleaned = network::clean_host(options_.state_directory);
           !cleaned)  // a start that went no further
    removed = tl::unexpected(cleaned.error());
  if (!removed)
    log_warning("not everything could be taken from the host ('berth host clean' tries again): {}",
                removed.error().context);
}

// A task is four descriptors here, a connection one; the 1,024 of a login shell would end at some 250 tasks.
void allow_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int serve(const Options& options) {
  // Blocked before any thread is made, so that only the main thread takes them.
  const sigset_t signals = ending_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  // What containers are given (/etc/hosts, /etc/resolv.conf, volumes) is for every user in them. All else has modes of its
  // own and lies in a directory that only we may enter.
  ::umask(022);
  allow_open_files();
  const ServiceManager manager;
  Daemon daemon(options);
  if (const auto prepared = daemon.prepare(); !prepared) {
    daemon.clean_up();
    return cli::complain(prepared.error().context);
  }
  return daemon.run(manager);
}

}  // namespace berth::daemon
