// What a client should know of this device before it sends code: versions, processor, free space.
#pragma once

#include <sched.h>
#include <sys/auxv.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <tvm/ffi/extra/json.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#if !defined(CLIPFREE_TVM) || !defined(CLIPFREE_TVM_FFI)
#error "tell the versions of TVM's libraries: -DCLIPFREE_TVM='\"0.27.0\"' -DCLIPFREE_TVM_FFI='\"0.1.14\"'"
#endif

namespace ffi = tvm::ffi;

inline std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line, '\0');  // files of the device tree end in a zero byte
  return line.substr(0, line.find('\n'));
}

// The lines of /proc/cpuinfo that tell name and features, each once: cores repeat them.
inline std::string cpuinfo() {
  std::vector<std::string> kept;
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    for (const char* key : {"model name", "Hardware", "flags", "Features", "CPU implementer", "CPU part"})
      if (line.rfind(key, 0) == 0 && std::find(kept.begin(), kept.end(), line) == kept.end()) kept.push_back(line);
  std::string text;
  for (const std::string& line : kept) text += line + "\n";
  return text;
}

// Bytes that a session may use where nothing else was said: the board must stay alive.
inline int64_t fair_share() {
  constexpr int64_t kMost = int64_t{4096} * 1000000;
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("MemAvailable:", 0) == 0) return std::min<int64_t>(kMost, atoll(line.c_str() + 13) * 1024 / 4 * 3);
  return kMost;
}

// The cores that the server was given when it started; sessions choose among them.
inline const std::vector<int>& cores() {
  static const std::vector<int> numbers = [] {
    std::vector<int> found;
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    for (int number = 0; number < CPU_SETSIZE; ++number)
      if (CPU_ISSET(number, &set)) found.push_back(number);
    return found;
  }();
  return numbers;
}

// [[number, speed], ...]: speeds compare cores of one device; 0 where the system does not tell.
inline ffi::json::Array tell_cores() {
  ffi::json::Array told;
  for (int number : cores()) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(number);
    int64_t speed = 0;
    for (const char* name : {"/cpu_capacity", "/cpufreq/cpuinfo_max_freq"})
      if (!speed) speed = atoll(first_line((folder + name).c_str()).c_str());
    told.push_back(ffi::json::Array{int64_t{number}, speed});
  }
  return told;
}

// `folder`: where uploads go. `previous`: how the last session ended, empty if it ended well.
inline ffi::json::Object describe(const std::string& folder, const std::string& previous) {
  utsname system{};
  uname(&system);
  struct statvfs disk{};
  statvfs(folder.c_str(), &disk);
  ffi::json::Object board;
  auto set = [&board](const char* key, ffi::Any value) { board.Set(ffi::String(key), value); };
  set("protocol", int64_t{2});
  set("tvm", ffi::String(CLIPFREE_TVM));
  set("tvm_ffi", ffi::String(CLIPFREE_TVM_FFI));
  set("machine", ffi::String(system.machine));
  set("model", ffi::String(first_line("/proc/device-tree/model")));
  set("cpuinfo", ffi::String(cpuinfo()));
#ifdef __aarch64__
  // The same bits that the kernel spells out as "Features"; an emulator gets them right, and not /proc/cpuinfo.
  set("hwcap", ffi::String(std::to_string(getauxval(AT_HWCAP))));
  set("hwcap2", ffi::String(std::to_string(getauxval(AT_HWCAP2))));
#endif
  set("cores", tell_cores());
  set("free_bytes", static_cast<int64_t>(disk.f_bavail) * static_cast<int64_t>(disk.f_frsize));
  set("millicelsius", ffi::String(first_line("/sys/class/thermal/thermal_zone0/temp")));
  set("previous", ffi::String(previous));
  return board;
}
