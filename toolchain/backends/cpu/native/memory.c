#include "memory.h"

#include "../../native/libc.h"

/* Lies before what is taken. */
struct Piece {
  Piece *next, *previous;
  size_t size; /* of what is taken */
};
_Static_assert(sizeof(Piece) <= kAlignment, "the head of a piece keeps its alignment");

static void lock(Memory* memory) {
  while (atomic_exchange(&memory->lock, 1)) {
    for (int i = 0; i < 100 && atomic_load(&memory->lock); ++i) platform_pause();
    platform_wait(&memory->lock, 1);
  }
}
static void unlock(Memory* memory) {
  atomic_store(&memory->lock, 0);
  platform_wake(&memory->lock);
}

static Piece* head(const void* taken) { return (Piece*)((uintptr_t)taken - kAlignment); }

void* memory_take_raw(Memory* memory, uint64_t bytes) {
  if (bytes > PTRDIFF_MAX - 2 * kAlignment) return NULL;
  lock(memory);
  Piece* piece = memory->allocate(memory->allocator, (size_t)bytes + kAlignment, kAlignment);
  if ((uintptr_t)piece % kAlignment) { /* which kernels would crash on */
    memory->release(memory->allocator, piece, (size_t)bytes + kAlignment);
    piece = NULL;
  }
  if (piece) {
    *piece = (Piece){memory->pieces, NULL, (size_t)bytes};
    if (memory->pieces) memory->pieces->previous = piece;
    memory->pieces = piece;
  }
  unlock(memory);
  return piece ? (char*)piece + kAlignment : NULL;
}

void* memory_take(Memory* memory, uint64_t bytes) {
  void* const taken = memory_take_raw(memory, bytes);
  return taken ? memset(taken, 0, (size_t)bytes) : NULL;
}

size_t memory_size(const void* taken) { return head(taken)->size; }

void memory_give(Memory* memory, void* taken) {
  if (!taken) return;
  Piece* const piece = head(taken);
  lock(memory);
  if (piece->previous) piece->previous->next = piece->next;
  else memory->pieces = piece->next;
  if (piece->next) piece->next->previous = piece->previous;
  memory->release(memory->allocator, piece, piece->size + kAlignment);
  unlock(memory);
}

void memory_end(Memory* memory) {
  while (memory->pieces) memory_give(memory, (char*)memory->pieces + kAlignment);
}
