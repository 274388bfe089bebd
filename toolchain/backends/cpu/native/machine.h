/* A network that is open: its program, its memory, its threads. */
#pragma once

#include "network.h"
#include "pool.h"
#include "program.h"

/* What one of the threads has to itself: who it works for, and memory that it has given back, for the next call, which
 * will ask for the same. */
typedef struct { struct clipfree* network; void* unused; } Share; /* each unused piece begins with the next one */

struct clipfree {
  Failure failure;
  Memory memory;
  Pool pool;
  Share* shares; /* as many as threads */
  Program program;
  Any *registers, *arguments;
  Object* objects; /* one that each instruction may make */
  void** blocks;   /* and memory that it may take, kept from one run to the next */
  uint8_t* extended; /* packed pixels, where the caller's are not, or do not fill the unit */
  Conversion conversion; /* between those and the caller's */
  uint8_t* converting;   /* memory for it */
  void* place;     /* where the result goes in this run, if it has `place_size` bytes; NULL: into a block */
  int64_t place_size;
  int dry;         /* this run is to count memory, in `counted` */
  uint64_t counted;
  _Atomic uint32_t busy;
};

/* Read the program, and make room for it. */
int32_t machine_open(clipfree* self);

/* Run the program on height x width packed pixels; the result's tensor lives until the next run. With `place`, it is
 * written there. */
int32_t machine_run(clipfree* self, const uint8_t* pixels, int64_t height, int64_t width, void* place,
                    const Tensor** result);

/* Bytes that a run takes at most. */
int32_t machine_count(clipfree* self, int64_t height, int64_t width, uint64_t* bytes);
