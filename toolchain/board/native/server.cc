// The server of a board: runs libraries for clipfree, and for TVM's own client, with no Python on the device.
//
// One session at a time, in a process of its own. A client that comes meanwhile is told that the board is busy; one
// that hangs up ends its session, whatever its library is doing. Whoever can connect can run any code: there is no
// password, and therefore only this machine is listened to unless another address is given.
#include <poll.h>

#include <charconv>
#include <cstdlib>
#include <list>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "greeting.h"
#include "session.h"

namespace {

// TVM's: answers to a session's first word; the first word of a talk with the tracker, and requests to it.
constexpr int kWelcome = Greeting::kFirst, kBusy = kWelcome + 1, kMismatch = kWelcome + 2, kTracker = 0x2F271;
constexpr int64_t kPut = 3, kUpdateInfo = 5, kPendingKeys = 7;

constexpr int64_t kLastPort = 65535;
constexpr int kPatience = 5;        // seconds for an answer of the tracker, or for the greeting of a client
constexpr size_t kMostGuests = 64;  // clients that are greeting at a time; one more, and the first has to go
constexpr char kUsage[] =
    "usage: clipfree-board [--listen ADDRESS] [--port PORT] [--tracker HOST:PORT --key NAME [--address ADDRESS]]\n"
    "                      [--folder FOLDER] [--memory MB]\n"
    "  --listen   address to listen on (127.0.0.1: this machine only)\n"
    "  --port     0 lets the system choose (9090)\n"
    "  --tracker  where to register, under the name of --key\n"
    "  --address  what the tracker tells clients, if it is not where it sees this machine\n"
    "  --folder   for uploads (/tmp); emptied after each session\n"
    "  --memory   that a session may use at most (3/4 of what is free when it begins, at most 4096); 0: no limit\n"
    "             but that of one packet, 1 GB\n";

struct Options {
  std::string listen = "127.0.0.1", tracker, key, address, folder = "/tmp";
  int port = 9090, tracker_port = 0;
  std::optional<int64_t> memory;  // bytes
};

volatile sig_atomic_t stopped = 0;

bool loopback(const std::string& host) { return host == "localhost" || host == "::1" || host.rfind("127.", 0) == 0; }

class Server {
 public:
  explicit Server(const Options& options)
      : options_(options), listener_(Socket::listen(options.listen, options.port)), port_(listener_.port()) {
    fprintf(stderr, "clipfree-board: listening on %s:%d\n", options_.listen.c_str(), port_);
  }

  void run() {
    while (!stopped) {
      if (!options_.tracker.empty()) keep_registered();
      std::vector<pollfd> events{{listener_.fd(), POLLIN, 0}};
      for (const Greeting& guest : guests_) events.push_back({guest.fd(), POLLIN, 0});
      if (session_) events.push_back({session_->fd(), POLLRDHUP, 0});
      if (poll(events.data(), events.size(), session_ || !guests_.empty() ? 100 : 1000) < 0) continue;  // a signal
      const bool gone = session_ && events.back().revents;
      guests_.remove_if([this](Greeting& guest) { return !stays(guest); });
      if (events[0].revents) accept();
      if (session_ && session_->ended(gone)) finish();
    }
  }

 private:
  void accept() {
    Socket client = listener_.accept();
    if (!client) return;
    if (guests_.size() == kMostGuests) guests_.pop_front();
    guests_.emplace_back(std::move(client), kPatience);
  }

  // Listen to what a client has to say; whether it has more to say.
  bool stays(Greeting& guest) try {
    if (!guest.whole()) return !guest.late();
    answer(guest);
    return false;
  } catch (const HungUp&) {  // it only looked whether somebody is here
    return false;
  } catch (const std::exception& error) {
    fprintf(stderr, "clipfree-board: a client: %s\n", error.what());
    return false;
  }

  void answer(Greeting& guest) {
    std::istringstream words(guest.text());
    std::string name, word;
    words >> name;
    double seconds = 0;
    while (words >> word)
      if (word.rfind("-timeout=", 0) == 0) seconds = atof(word.c_str() + 9);
    Socket& client = guest.client();
    if (session_) return client.send(kBusy);
    const bool wanted = options_.tracker.empty() ? name == "client:" || name == "client:" + options_.key
                                                 : name == "client:" + match_;
    if (!wanted) return client.send(kMismatch);
    client.send(kWelcome);
    client.send("server:" + options_.key);
    client.keep_alive();
    const Limits limits{seconds, options_.memory.value_or(fair_share())};
    session_ = std::make_unique<Session>(std::move(client), options_.folder, previous_, limits, [this] {
      listener_.close();
      tracker_.close();
      guests_.clear();
    });
  }

  void finish() {
    previous_ = session_->how();
    if (!previous_.empty()) fprintf(stderr, "clipfree-board: a session ended: %s\n", previous_.c_str());
    session_.reset();
    look_ = {};
  }

  // Be known to the tracker, and on offer if there is no session. What was promised to a client that never came is
  // offered again.
  void keep_registered() try {
    const auto now = Clock::now();
    if (!tracker_) {
      if (now < retry_) return;
      tracker_ = Socket::connect(options_.tracker, options_.tracker_port, kPatience);
      tracker_.keep_alive();
      tracker_.limit(kPatience);
      tracker_.send(kTracker);
      if (tracker_.number() != kTracker) throw std::runtime_error("it is no tracker");
      told_busy_.reset();
      look_ = {};
      silent_ = false;
      fprintf(stderr, "clipfree-board: registered as %s\n", options_.key.c_str());
    }
    const bool busy = session_ != nullptr;
    if (told_busy_ != busy) inform(busy);
    if (busy || now < look_) return;
    const bool offered = ask({kPendingKeys}).find("\"" + match_ + "\"") != std::string::npos;
    missed_ = offered ? 0 : missed_ + 1;
    if (!offered && (look_ == Clock::time_point{} || missed_ > 3)) offer();
    look_ = now + std::chrono::seconds(1);
  } catch (const std::exception& error) {
    if (!std::exchange(silent_, true)) fprintf(stderr, "clipfree-board: tracker: %s; trying again\n", error.what());
    tracker_.close();
    retry_ = Clock::now() + std::chrono::seconds(2);
  }

  void offer() {
    match_ = options_.key + ":" + std::to_string(std::random_device{}());
    ask({kPut, ffi::String(options_.key), ffi::json::Array{int64_t{port_}, ffi::String(match_)}, address()});
    missed_ = 0;
  }

  void inform(bool busy) {
    ffi::json::Object info;
    info.Set(ffi::String("key"), ffi::String("server:" + options_.key));
    info.Set(ffi::String("addr"), ffi::json::Array{address(), int64_t{port_}});
    info.Set(ffi::String("busy"), busy);
    info.Set(ffi::String("board"), describe(options_.folder, previous_));
    ask({kUpdateInfo, info});
    told_busy_ = busy;
  }

  std::string ask(const ffi::json::Array& request) {
    tracker_.limit(kPatience);
    tracker_.send(std::string(ffi::json::Stringify(request)));
    return tracker_.text();
  }

  ffi::Any address() const { return options_.address.empty() ? ffi::Any(nullptr) : ffi::String(options_.address); }

  const Options options_;
  Socket listener_, tracker_;
  const int port_;
  std::list<Greeting> guests_;  // the first came first
  std::unique_ptr<Session> session_;
  std::string previous_, match_;
  Clock::time_point retry_{}, look_{};  // when to call the tracker again; look_ at the beginning of time: offer at once
  std::optional<bool> told_busy_;       // what the tracker was told
  int missed_ = 0;                      // how often in a row the tracker had no offer of ours
  bool silent_ = false;
};

bool parse(const std::string& text, int64_t most, int64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && *number >= 0 && *number <= most;
}

bool parse(const std::vector<std::string>& words, Options* options) {
  if (words.size() % 2) return false;
  for (size_t at = 0; at < words.size(); at += 2) {
    const std::string &name = words[at], &value = words[at + 1];
    int64_t number = 0;
    if (name == "--listen") options->listen = value;
    else if (name == "--port" && parse(value, kLastPort, &number)) options->port = static_cast<int>(number);
    else if (name == "--key") options->key = value;
    else if (name == "--address") options->address = value;
    else if (name == "--folder") options->folder = value;
    else if (name == "--memory" && parse(value, int64_t{1} << 40, &number)) options->memory = number * 1000000;
    else if (const size_t colon = value.rfind(':'); name == "--tracker" && colon != std::string::npos &&
             parse(value.substr(colon + 1), kLastPort, &number)) {
      options->tracker = value.substr(0, colon);
      options->tracker_port = static_cast<int>(number);
    } else return false;
  }
  return options->tracker.empty() || !options->key.empty();
}

}  // namespace

int main(int count, char** words) {
  Options options;
  if (!parse(std::vector<std::string>(words + 1, words + count), &options)) {
    fputs(kUsage, stderr);
    return 2;
  }
  if (loopback(options.listen) && !options.tracker.empty() && !loopback(options.tracker)) {
    fprintf(stderr, "clipfree-board: the tracker's clients could not reach %s; give the address they see with "
            "--listen\n", options.listen.c_str());
    return 2;
  }
  if (!loopback(options.listen))
    fprintf(stderr, "clipfree-board: WARNING: whoever can reach %s:%d can run any code here. Safer: listen on this "
            "machine only, and on the client: ssh -N -L %d:127.0.0.1:%d THIS-MACHINE\n",
            options.listen.c_str(), options.port, options.port, options.port);
  for (int number : {SIGPIPE, SIGXFSZ}) signal(number, SIG_IGN);  // writing fails then, and says why
  struct sigaction stop{};
  stop.sa_handler = [](int) { stopped = 1; };
  for (int number : {SIGINT, SIGTERM}) sigaction(number, &stop, nullptr);
  setenv("TVM_NUM_THREADS", std::to_string(cores().size()).c_str(), /*overwrite=*/0);  // it would take half of an x86
  setenv("TVM_BIND_THREADS", "0", /*overwrite=*/0);  // sessions do that
  setenv("TVM_THREAD_POOL_SPIN_COUNT", "200", /*overwrite=*/0);  // idle threads sleep: by itself TVM spins 300,000 times
  try {
    if (access(options.folder.c_str(), W_OK | X_OK) != 0) throw failed(options.folder);
    Server(options).run();
  } catch (const std::exception& error) {
    fprintf(stderr, "clipfree-board: %s\n", error.what());
    return 1;
  }
  return 0;
}
