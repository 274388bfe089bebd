/* Memory of a network, from the caller's allocator: all of it is known, and given back at once in the end. */
#pragma once

#include "platform.h"

typedef struct Piece Piece;

typedef struct {
  void* (*allocate)(void* allocator, size_t bytes, size_t alignment);
  void (*release)(void* allocator, void* memory, size_t bytes);
  void* allocator;
  _Atomic uint32_t lock;
  Piece* pieces;
} Memory;

/* Bytes at a multiple of 64, all of them 0; NULL where there are none. Any thread may take and give. */
void* memory_take(Memory* memory, uint64_t bytes);
/* Undefined ones. */
void* memory_take_raw(Memory* memory, uint64_t bytes);
void memory_give(Memory* memory, void* taken);
/* How many were asked for. */
size_t memory_size(const void* taken);
/* Give back everything. */
void memory_end(Memory* memory);
