// The launch plan as tables; clipfree writes those of a network into network.c. docs/decisions/0012-opencl.md of
// clipfree says what they mean.
#ifndef CLIPFREE_NETWORK_H
#define CLIPFREE_NETWORK_H

#include <stddef.h>
#include <stdint.h>

// Kernel arguments: numbers, then pictures, then as many buffers and constants as there are. Numbers are of what a kernel
// reads, then of what it writes.
enum argument {
  ARGUMENT_HEIGHT,
  ARGUMENT_PITCH,
  ARGUMENT_WIDTH,
  ARGUMENT_ROWS,
  ARGUMENT_ACROSS,
  ARGUMENT_COLUMNS,
  ARGUMENT_PICTURE,
  ARGUMENT_RESULT,
  ARGUMENT_BUFFERS
};

struct extent {  // work-items along an axis: ceil((number + plus) / per) * times; a negative number stands for 1
  int32_t number, per, times, plus;
};

struct change {  // from a side to another: (side * times + plus) / per, rounded down
  int32_t times, plus, per;
};

struct size {  // what becomes of the input's height and width in units, change by change
  const struct change *height, *width;
  int32_t heights, widths;
};

struct buffer {  // (height + 2 * margin) * blocks * pitch elements; before first use, halves of rows are filled with a byte
  int32_t blocks, bytes, zero_point, low, size;
};

struct constant {
  size_t offset, bytes;
};

struct launch {
  const char *kernel, *source;
  const int16_t *arguments;
  int32_t count;
  struct extent work[3];
  size_t group[3];
  int32_t size, result;  // of what it reads, and of what it writes
};

struct network {
  // The sides of an input are multiples of `unit` pixels, those of the result `scale / over` times as many.
  int32_t channels, scale, over, unit, margin, columns, side;
  const struct size *sizes;
  const struct buffer *buffers;
  int32_t buffer_count;
  const struct constant *constants;
  int32_t constant_count;
  const struct launch *launches;
  int32_t launch_count;
  const unsigned char *data;  // of the constants, little-endian
  int32_t smallest_height, smallest_width;  // of pictures of which something is left
  int32_t halo;  // as `clipfree_info` has it
  const char *name, *target, *version;
};

extern const struct network clipfree_network;

#endif
