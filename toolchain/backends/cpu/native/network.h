/* What differs from network to network: clipfree writes it into a file of its own, network.c. */
#pragma once

#include "../../native/convert.h"
#include "tvm.h"

typedef struct {
  const char* name;
  Function function;
} Kernel;

/* Line buffers of a thread: bytes of `width` pixels are at most min(max(cache, few + few_more * width),
 * most + most_more * width) + scratch. */
typedef struct { uint64_t cache, few, few_more, most, most_more, scratch; } Lines;

typedef struct {
  const char *name, *target, *version;
  const char* lacks;             /* what it needs that is not here; NULL: nothing */
  const char* const* processor;  /* words of /proc/cpuinfo that are needed, until a NULL */
  Geometry geometry;
  int streams;                   /* pixels may lie anywhere, not only at multiples of 64 */
  Lines lines;
  const Kernel* kernels;         /* until one without a name */
  const char* program;           /* 8 bytes with its size, and itself */
} Network;

extern const Network clipfree_network;
