/* Threads that take tasks of what is launched: the caller's thread and some of its own, or a pool of the caller. */
#pragma once

#include "memory.h"

typedef struct Worker Worker;

typedef struct {
  uint32_t threads; /* all of them */
  Worker* workers;  /* one less */
  uint8_t cores[kMostCores / 8]; /* that threads stay on if `pins`; else those that the process has */
  int pins;
  uint32_t left; /* plus 1: the core that threads keep off, as their caller is there */
  _Atomic uint32_t turn, busy, stop, unpinned;
  void (*task)(void* work, uint32_t index);
  void* work;
  void (*parallel_for)(void* pool, void (*task)(void* work, uint32_t index), void* work, uint32_t count);
  void* pool;
} Pool;

/* Start `threads` - 1 threads, unless there is a pool of the caller; they stay on `cores` if `pins`. */
typedef enum { kStarted, kNoThreads, kNoCores, kNoRoom } PoolState;
PoolState pool_start(Pool* pool, Memory* memory);

/* Call task(work, 0) to task(work, threads - 1) at the same time, and return when all have returned. */
void pool_run(Pool* pool, void (*task)(void* work, uint32_t index), void* work);

/* End the threads that were started. */
void pool_stop(Pool* pool);
