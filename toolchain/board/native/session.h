// One client's session, in a process of its own: what the client uploads may crash, hang, or call exit.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tvm/ffi/container/array.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "device.h"
#include "packets.h"
#include "wire.h"

// Times every call of a TVM virtual machine, by the name of the called function.
class Stopwatch {
 public:
  // What `set_instrument` takes: called before and after each call with the function, its name, and which of the two.
  ffi::Function instrument() {
    return ffi::Function::FromPacked([this](ffi::PackedArgs args, ffi::Any* skip) {
      if (args[2].cast<bool>()) {
        begun_.push_back(Clock::now());
      } else if (!begun_.empty()) {  // whoever has it can call it
        auto& [seconds, calls] = laps_[args[1].cast<std::string>()];
        seconds += std::chrono::duration<double>(Clock::now() - begun_.back()).count();
        ++calls;
        begun_.pop_back();
      }
      *skip = int64_t{0};
    });
  }

  // {"name": [seconds in all, calls]} since the last time it was asked.
  ffi::String laps() {
    ffi::json::Object table;
    for (const auto& [name, lap] : std::exchange(laps_, {}))
      table.Set(ffi::String(name), ffi::json::Array{lap.first, lap.second});
    return ffi::json::Stringify(table);
  }

 private:
  std::vector<Clock::time_point> begun_;
  std::map<std::string, std::pair<double, int64_t>> laps_;
};

// Let every thread of this process, and those that come, run on these cores only: numbers separated by commas.
inline void pin(const std::string& numbers) {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::istringstream words(numbers);
  for (std::string word; std::getline(words, word, ',');) CPU_SET(atoi(word.c_str()), &set);
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task"))
    if (sched_setaffinity(atoi(thread.path().filename().c_str()), sizeof set, &set) != 0 && errno != ESRCH)
      TVM_FFI_THROW(ValueError) << "cannot run on cores " << numbers << ": " << strerror(errno);
}

// The functions that a client may call beside those of TVM's runtime. `previous`: how the last session ended.
inline void register_functions(const std::string& folder, const std::string& previous) {
  auto provide = [](const char* name, auto function) {
    ffi::Function::SetGlobal(name, ffi::Function::FromTyped(function), /*override=*/true);
  };
  auto path = [folder](const ffi::String& name) { return folder + "/" + std::string(name); };
  provide("tvm.rpc.server.workpath", [path](ffi::String name) { return ffi::String(path(name)); });
  provide("tvm.rpc.server.load_module", [path](ffi::String name) { return ffi::Module::LoadFromFile(path(name)); });
  // TVM's own does not notice a full disk.
  provide("tvm.rpc.server.upload", [path](ffi::String name, ffi::Bytes data) {
    FILE* file = fopen(path(name).c_str(), "wb");
    const bool written = file && fwrite(data.data(), 1, data.size(), file) == data.size() && fflush(file) == 0;
    const int reason = errno;
    if (file) fclose(file);
    if (!written) TVM_FFI_THROW(IOError) << "cannot store " << name << ": " << strerror(reason);
  });
  provide("clipfree.board.describe", [=]() { return ffi::json::Stringify(describe(folder, previous)); });
  // Calls use so many threads, on these cores: numbers separated by commas.
  provide("clipfree.board.threads", [](int64_t count, ffi::String cpus) {
    pin(std::string(cpus));
    ffi::Function::GetGlobalRequired("runtime.config_threadpool")(int64_t{1}, count);
  });
  static Stopwatch stopwatch;
  provide("clipfree.board.stopwatch", []() { return stopwatch.instrument(); });
  provide("clipfree.board.laps", []() { return stopwatch.laps(); });
}

// What a session may use; 0: as much as there is.
struct Limits {
  double seconds;
  int64_t memory;  // bytes that the process may write to

  // Bytes of one packet: what it holds is there three times at least, as it came, as a tensor, and as a result.
  int64_t packet() const {
    constexpr int64_t kMost = 1000000000;
    return memory > 0 ? std::min(memory / 3, kMost) : kMost;
  }
};

class Session {
 public:
  // `close_others` runs in the new process, which must not keep the server's sockets open.
  template <typename Close>
  Session(Socket client, const std::string& root, const std::string& previous, Limits limits, Close close_others)
      : client_(std::move(client)), folder_(root + "/clipfree-XXXXXX"), limits_(limits), end_(Clock::time_point::max()) {
    constexpr double kYear = 365 * 86400;
    if (!mkdtemp(folder_.data())) throw failed(folder_);
    if (limits.seconds > 0 && limits.seconds < kYear)
      end_ = Clock::now() + std::chrono::milliseconds(static_cast<int64_t>(1000 * limits.seconds));
    process_ = fork();
    if (process_ < 0) throw failed("fork");
    if (process_ == 0) {
      setpgid(0, 0);
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      for (int number : {SIGINT, SIGTERM}) signal(number, SIG_DFL);
      close_others();
      const rlimit most{static_cast<rlim_t>(limits.memory), static_cast<rlim_t>(limits.memory)};
      if (limits.memory > 0) setrlimit(RLIMIT_DATA, &most);
      serve(previous);
    }
    setpgid(process_, process_);
  }
  Session(const Session&) = delete;
  ~Session() {
    if (process_ > 0) {
      kill(-process_, SIGKILL);
      waitpid(process_, nullptr, 0);
    }
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  int fd() const { return client_.fd(); }

  // Whether it has ended. `gone`: the client hung up, and the process has a moment to notice it.
  bool ended(bool gone) {
    if (gone) end_ = std::min(end_, Clock::now() + std::chrono::seconds(1));
    const bool late = Clock::now() > end_;
    if (late) kill(-process_, SIGKILL);
    int status = 0;
    if (waitpid(process_, &status, WNOHANG) != process_) return false;
    process_ = -1;
    how_ = late                                 ? "did not end in time"
           : WIFSIGNALED(status)                ? strsignal(WTERMSIG(status))
           : WEXITSTATUS(status) == kOutOfMemory ? "more than " + megabytes(limits_.memory) + " of memory"
           : WEXITSTATUS(status) == kTooLarge   ? "more than " + megabytes(limits_.packet()) + " in one packet"
           : status != 0                        ? "exit code " + std::to_string(WEXITSTATUS(status))
                                                : "";
    return true;
  }

  // How it ended, empty if well.
  const std::string& how() const { return how_; }

 private:
  [[noreturn]] void serve(const std::string& previous) {
    Packets packets(client_.fd(), limits_.packet());
    try {
      register_functions(folder_, previous);
      ffi::Function::GetGlobalRequired("rpc.ServerLoop")(packets.sender(), packets.receiver());
    } catch (const std::exception& error) {
      fprintf(stderr, "session: %s\n", error.what());
      _exit(packets.refused() ? kTooLarge : strstr(error.what(), "bad_alloc") ? kOutOfMemory : 1);
    }
    _exit(0);
  }

  static std::string megabytes(int64_t bytes) { return std::to_string(bytes / 1000000) + " MB"; }

  static constexpr int kOutOfMemory = 77, kTooLarge = 78;  // exit codes

  Socket client_;
  std::string folder_, how_;
  const Limits limits_;
  Clock::time_point end_;
  pid_t process_;
};
