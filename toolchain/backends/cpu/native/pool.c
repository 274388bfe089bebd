#include "pool.h"

struct Worker {
  Thread thread;
  Pool* pool;
  uint32_t index, number;
  int runs;
};

enum { kSpins = 500 }; /* looks before sleep: some ten microseconds, which is more than there are between two layers */

static uint32_t await_change(_Atomic uint32_t* place, uint32_t seen) {
  uint32_t now;
  for (int i = 0; (now = atomic_load_explicit(place, memory_order_acquire)) == seen; ++i)
    i < kSpins ? platform_pause() : platform_wait(place, seen);
  return now;
}

static void done(Pool* pool) {
  if (atomic_fetch_sub(&pool->busy, 1) == 1) platform_wake(&pool->busy);
}

static void await_all(Pool* pool) {
  for (uint32_t left; (left = atomic_load_explicit(&pool->busy, memory_order_acquire));) await_change(&pool->busy, left);
}

static void serve(void* argument) {
  Worker* const worker = argument;
  Pool* const pool = worker->pool;
  uint32_t seen = 0;
  worker->number = platform_self();
  if (pool->pins && platform_pin(0, pool->cores)) atomic_store(&pool->unpinned, 1);
  done(pool);
  for (;;) {
    seen = await_change(&pool->turn, seen);
    if (atomic_load(&pool->stop)) return;
    pool->task(pool->work, worker->index);
    done(pool);
  }
}

PoolState pool_start(Pool* pool, Memory* memory) {
  const uint32_t count = pool->threads - 1;
  if (pool->parallel_for || !count) return kStarted;
  Worker* const workers = memory_take(memory, count * (uint64_t)sizeof *workers);
  if (!workers) return kNoRoom;
  if (!pool->pins) platform_allowed(pool->cores);
  pool->workers = workers;
  atomic_store(&pool->busy, count);
  for (uint32_t i = 0; i < count; ++i) {
    workers[i] = (Worker){{serve, &workers[i], 0}, pool, i + 1, 0, 0};
    if (platform_start(&workers[i].thread)) {
      atomic_fetch_sub(&pool->busy, count - i);
      await_all(pool);
      return kNoThreads;
    }
    workers[i].runs = 1;
  }
  await_all(pool);
  return atomic_load(&pool->unpinned) ? kNoCores : kStarted;
}

/* Keep threads off the caller's core: systems wake them there, behind the caller, while another core is idle. */
static void spread(Pool* pool) {
  const uint32_t core = platform_core();
  uint8_t cores[kMostCores / 8], any = 0;
  if (core >= kMostCores || core + 1 == pool->left) return;
  for (uint32_t at = 0; at < kMostCores / 8; ++at) {
    cores[at] = pool->cores[at] & ~(at == core / 8 ? 1u << core % 8 : 0u);
    any |= cores[at];
  }
  for (uint32_t i = 0; any && i + 1 < pool->threads; ++i)
    if (pool->workers[i].number) platform_pin(pool->workers[i].number, cores);
  pool->left = core + 1;
}

void pool_run(Pool* pool, void (*task)(void* work, uint32_t index), void* work) {
  if (pool->parallel_for) {
    pool->parallel_for(pool->pool, task, work, pool->threads);
    return;
  }
  if (pool->threads > 1) {
    spread(pool);
    pool->task = task, pool->work = work;
    atomic_store(&pool->busy, pool->threads - 1);
    atomic_fetch_add(&pool->turn, 1);
    platform_wake(&pool->turn);
  }
  task(work, 0);
  if (pool->threads > 1) await_all(pool);
}

void pool_stop(Pool* pool) {
  if (!pool->workers) return;
  atomic_store(&pool->stop, 1);
  atomic_fetch_add(&pool->turn, 1);
  platform_wake(&pool->turn);
  for (uint32_t i = 0; i + 1 < pool->threads; ++i)
    if (pool->workers[i].runs) platform_join(&pool->workers[i].thread);
}
