// Sockets that close themselves, and the frames of TVM's RPC: 32-bit little-endian numbers, texts with their length.
#pragma once

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are sent as they lie in memory");

inline std::runtime_error failed(const std::string& what) { return std::runtime_error(what + ": " + strerror(errno)); }

using Clock = std::chrono::steady_clock;

struct HungUp : std::runtime_error {
  HungUp() : std::runtime_error("the other side hung up") {}
};

class Socket {
 public:
  explicit Socket(int fd = -1) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)), end_(other.end_) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(end_, other.end_);
    return *this;
  }
  ~Socket() { close(); }

  int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

  // Whatever is sent and received from now on has so many seconds together, however small the pieces it comes in.
  void limit(int seconds) { end_ = Clock::now() + std::chrono::seconds(seconds); }

  // A peer that has lost its power or its network is given up after half a minute.
  void keep_alive() {
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30000);
    set(IPPROTO_TCP, TCP_NODELAY, 1);
  }

  void send(const void* data, size_t size) {
    for (const char* place = static_cast<const char*>(data); size > 0;) {
      wait(POLLOUT);
      ssize_t sent = ::send(fd_, place, size, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0 && again()) continue;
      if (sent <= 0) throw failed("cannot send");
      place += sent;
      size -= sent;
    }
  }
  void send(int32_t number) { send(&number, sizeof number); }
  void send(const std::string& text) {
    send(static_cast<int32_t>(text.size()));
    send(text.data(), text.size());
  }

  // Take what has come already, at most `size` bytes; returns how many, 0 if nothing has.
  size_t take(void* data, size_t size) {
    const ssize_t got = ::recv(fd_, data, size, MSG_DONTWAIT);
    if (got < 0 && again()) return 0;
    if (got < 0) throw failed("cannot receive");
    if (got == 0) throw HungUp();
    return got;
  }
  void receive(void* data, size_t size) {
    for (char* place = static_cast<char*>(data); size > 0;) {
      wait(POLLIN);
      const size_t got = take(place, size);
      place += got;
      size -= got;
    }
  }
  int32_t number() {
    int32_t value;
    receive(&value, sizeof value);
    return value;
  }
  std::string text() {
    int32_t size = number();
    if (size < 0 || size > 1 << 20) throw std::runtime_error("a frame of " + std::to_string(size) + " bytes");
    std::string value(size, '\0');
    receive(value.data(), value.size());
    return value;
  }

  static Socket connect(const std::string& host, int port, int seconds) {
    return open(host, port, 0, [&](Socket& socket, const addrinfo& place) {
      const timeval time{seconds, 0};
      setsockopt(socket.fd_, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
      return ::connect(socket.fd_, place.ai_addr, place.ai_addrlen) == 0;
    });
  }

  static Socket listen(const std::string& host, int port) {
    return open(host, port, AI_PASSIVE, [](Socket& socket, const addrinfo& place) {
      socket.set(SOL_SOCKET, SO_REUSEADDR, 1);
      return bind(socket.fd_, place.ai_addr, place.ai_addrlen) == 0 && ::listen(socket.fd_, SOMAXCONN) == 0;
    });
  }

  Socket accept() { return Socket(::accept(fd_, nullptr, nullptr)); }

  // Of a listening socket: the port, which the system chose if 0 was asked for.
  int port() const {
    sockaddr_storage place{};
    socklen_t size = sizeof place;
    getsockname(fd_, reinterpret_cast<sockaddr*>(&place), &size);
    return ntohs(place.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&place)->sin6_port
                                             : reinterpret_cast<sockaddr_in*>(&place)->sin_port);
  }

 private:
  template <typename Use>
  static Socket open(const std::string& host, int port, int flags, Use use) {
    const std::string name = host + ":" + std::to_string(port);
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = flags;
    if (int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found))
      throw std::runtime_error(name + ": " + gai_strerror(code));
    Socket socket;
    for (addrinfo* place = found; place && !socket; place = place->ai_next) {
      socket = Socket(::socket(place->ai_family, place->ai_socktype, place->ai_protocol));
      if (socket && !use(socket, *place)) socket.close();
    }
    const int reason = errno;
    freeaddrinfo(found);
    errno = reason;
    if (!socket) throw failed(name);
    return socket;
  }

  static bool again() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

  // Until the socket is ready, at most until the limit.
  void wait(short what) {
    pollfd event{fd_, what, 0};
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(end_ - Clock::now()).count();
      if (left <= 0) throw std::runtime_error("it takes too long");
      const int ready = poll(&event, 1, static_cast<int>(std::min<int64_t>(left, 60000)));
      if (ready > 0) return;
      if (ready < 0 && errno != EINTR) throw failed("cannot wait");
    }
  }

  void set(int level, int option, int value) { setsockopt(fd_, level, option, &value, sizeof value); }

  int fd_;
  Clock::time_point end_ = Clock::time_point::max();
};
