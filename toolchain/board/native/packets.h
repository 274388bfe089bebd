// What goes between a client and its session, byte by byte as TVM sends it, but for packets that claim too much: TVM makes
// room for whatever is claimed, and fills it, before anything has come.
#pragma once

#include <sys/socket.h>
#include <tvm/ffi/function.h>
#include <tvm/ffi/string.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "wire.h"

class Packets {
 public:
  // `most`: bytes that a packet may have.
  Packets(int fd, uint64_t most) : fd_(fd), most_(most) {}

  // Of the packet that was refused, 0 if none was.
  uint64_t refused() const { return refused_; }

  // What TVM's loop sends with: returns how many of the bytes were sent, -1 if none can be.
  ffi::Function sender() {
    return ffi::Function::FromPacked([this](ffi::PackedArgs args, ffi::Any* result) {
      const auto* bytes = args[0].cast<TVMFFIByteArray*>();
      ssize_t sent;
      while ((sent = ::send(fd_, bytes->data, bytes->size, MSG_NOSIGNAL)) < 0 && errno == EINTR) {}
      *result = int64_t{sent};
    });
  }

  // What it receives with: some of the bytes that it wants, none if the client hung up.
  ffi::Function receiver() {
    return ffi::Function::FromTyped([this](int64_t wanted) {
      constexpr int64_t kBlock = 1 << 20;
      std::string block(std::min(wanted, kBlock), '\0');
      ssize_t got;
      while ((got = ::recv(fd_, block.data(), block.size(), 0)) < 0 && errno == EINTR) {}
      if (got < 0) throw failed("cannot receive");
      block.resize(got);
      follow(block);
      return ffi::Bytes(std::move(block));
    });
  }

 private:
  // Keep track of where packets begin: each is its size, 64 bits, and so many bytes.
  void follow(const std::string& block) {
    for (size_t at = 0; at < block.size();) {
      if (left_ > 0) {
        const uint64_t more = std::min<uint64_t>(left_, block.size() - at);
        left_ -= more;
        at += more;
        continue;
      }
      head_[got_++] = block[at++];
      if (got_ < sizeof head_) continue;
      got_ = 0;
      memcpy(&left_, head_, sizeof left_);
      if (left_ <= most_) continue;
      refused_ = left_;
      throw std::runtime_error("a packet of " + std::to_string(left_) + " bytes");
    }
  }

  const int fd_;
  const uint64_t most_;
  uint64_t left_ = 0, refused_ = 0;  // bytes: to come of a packet
  char head_[sizeof(uint64_t)];      // of which `got_` bytes have come
  size_t got_ = 0;
};
