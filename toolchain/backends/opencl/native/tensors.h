// Kernels alone, for tuning: what they read and write comes from outside, in sizes of its own, instead of a picture.
// Functions return 1, or 0 with a sentence.
#ifndef CLIPFREE_TENSORS_H
#define CLIPFREE_TENSORS_H

#include <stddef.h>

#include "clipfree_opencl.h"

// Make the plan's buffer of a number anew, from `bytes`.
int clipfree_give(struct clipfree *network, int buffer, const void *bytes, size_t size,
                  char message[CLIPFREE_MESSAGE]);

// What that buffer holds.
int clipfree_take(struct clipfree *network, int buffer, void *bytes, size_t size, char message[CLIPFREE_MESSAGE]);

// Launch the kernels once for height x width pixels, on buffers that were all given; the seconds of each launch.
int clipfree_launch(struct clipfree *network, int height, int width, double *seconds, char message[CLIPFREE_MESSAGE]);

#endif
