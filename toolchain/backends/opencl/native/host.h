// A network on its device, below what clipfree.h promises. Functions return 1, or 0 with a sentence.
#ifndef CLIPFREE_HOST_H
#define CLIPFREE_HOST_H

#include "convert.h"

// What interface.c keeps of a network: its last failure, whether a thread is in it, and packed pixels where those of the
// caller are not.
struct caller {
  Failure failure;
  _Atomic uint32_t busy;
  uint8_t *pixels, *result, *converting;
  size_t pixels_size, result_size, converting_size;
  Conversion conversion;  // between those and the caller's, by `converting`
};

struct caller *host_caller(struct clipfree *network);

// Find a driver and a device of a kind, and build the kernels; NULL with a sentence.
struct clipfree *host_open(const char *driver, int32_t kind, char message[CLIPFREE_MESSAGE]);
void host_close(struct clipfree *network);

// Have buffers for pictures of a size, whose sides are multiples of the unit.
int host_allocate(struct clipfree *network, int height, int width, char message[CLIPFREE_MESSAGE]);

// Bytes of those buffers.
uint64_t host_memory(const struct clipfree *network, int height, int width);

// Run the network on packed pixels of that size; `seconds`: NULL, or for each launch the seconds that the device counted.
int host_run(struct clipfree *network, const unsigned char *pixels, unsigned char *result, double *seconds,
             char message[CLIPFREE_MESSAGE]);

#endif
