// A client that has not said yet whom it wants. Its words are taken as they come: nobody waits for the slowest.
#pragma once

#include <cstring>
#include <string>
#include <utility>

#include "wire.h"

class Greeting {
 public:
  static constexpr int kFirst = 0xFF271;  // TVM's first word of a session

  // `seconds`: for the whole of it.
  Greeting(Socket client, int seconds) : client_(std::move(client)), end_(Clock::now() + std::chrono::seconds(seconds)) {
    client_.limit(seconds);
  }

  int fd() const { return client_.fd(); }
  bool late() const { return Clock::now() > end_; }

  // Take what has come: whether the greeting is whole now. Throws if it is none.
  bool whole() {
    for (;;) {
      const size_t wanted = got_ < kHead ? kHead : kHead + size();
      if (got_ == wanted) return true;
      const size_t more = client_.take(bytes_ + got_, wanted - got_);
      if (more == 0) return false;
      got_ += more;
      if (got_ >= sizeof(int32_t) && word(0) != kFirst) throw std::runtime_error("it speaks something else");
      if (got_ >= kHead && size() > kLongest) throw std::runtime_error("its greeting is too long");
    }
  }

  // What it said: "client:NAME", and perhaps "-timeout=SECONDS".
  std::string text() const { return {bytes_ + kHead, bytes_ + got_}; }

  Socket& client() { return client_; }

 private:
  static constexpr size_t kHead = 2 * sizeof(int32_t), kLongest = 4096;

  int32_t word(size_t at) const {
    int32_t value;
    memcpy(&value, bytes_ + at, sizeof value);
    return value;
  }
  size_t size() const { return static_cast<uint32_t>(word(sizeof(int32_t))); }

  Socket client_;
  Clock::time_point end_;
  size_t got_ = 0;
  char bytes_[kHead + kLongest];
};
