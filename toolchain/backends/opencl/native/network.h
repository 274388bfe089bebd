// The launch plan as tables; clipfree writes those of a network into network.c. docs/decisions/0012-opencl.md of
// clipfree says what they mean.
#ifndef CLIPFREE_NETWORK_H
#define CLIPFREE_NETWORK_H

#include <stddef.h>
#include <stdint.h>

enum size { ONE, HEIGHT, WIDTH };

struct extent {  // work-items along an axis: ceil(size / per) * times
  enum size size;
  int32_t per, times;
};

struct buffer {  // (height + 2 * margin) * blocks * pitch elements, filled with a byte before first use
  int32_t blocks, bytes, zero_point, scale;
};

struct constant {
  size_t offset, bytes;
};

// Kernel arguments: numbers, then pictures, then as many buffers and constants as there are.
enum argument { ARGUMENT_HEIGHT, ARGUMENT_PITCH, ARGUMENT_WIDTH, ARGUMENT_PICTURE, ARGUMENT_RESULT, ARGUMENT_BUFFERS };

struct launch {
  const char *kernel, *source;
  const int16_t *arguments;
  int32_t count;
  struct extent work[3];
  size_t group[3];
  int32_t scale;  // what it reads is so many times as high and wide as the input in units
};

struct network {
  int32_t channels, scale, unit, margin, columns, side;  // the sides of an input are multiples of `unit` pixels
  const struct buffer *buffers;
  int32_t buffer_count;
  const struct constant *constants;
  int32_t constant_count;
  const struct launch *launches;
  int32_t launch_count;
  const unsigned char *data;  // of the constants, little-endian
};

extern const struct network clipfree_network;

#endif
