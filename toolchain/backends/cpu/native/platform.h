/* What the system gives: memory, threads, sleep until a number changes, and a value of each thread. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { kAlignment = 64 };

/* Memory for whoever brings no allocator. */
void* platform_allocate(void* nothing, size_t bytes, size_t alignment);
void platform_release(void* nothing, void* memory, size_t bytes);

typedef struct Thread {
  void (*run)(void* argument);
  void* argument;
  uintptr_t handle;
} Thread;

/* Returns 0 if it started. `thread` must stay where it is until it was joined. */
int platform_start(Thread* thread);
void platform_join(Thread* thread);

/* Sleep until somebody wakes those who wait there, unless the number there is no longer `seen`; may wake too early. */
void platform_wait(_Atomic uint32_t* place, uint32_t seen);
void platform_wake(_Atomic uint32_t* place);

/* Tell the processor that this is a loop that waits. */
static inline void platform_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

/* Cores that this process may use, at least 1. */
uint32_t platform_cores(void);

/* Cores are bit after bit, lowest first. Those that this process may use; none where the system does not tell. */
enum { kMostCores = 1024 };
void platform_allowed(uint8_t cores[kMostCores / 8]);

/* Keep a thread to cores, the calling one if `thread` is 0. Returns 0 if that is done. */
int platform_pin(uint32_t thread, const uint8_t cores[kMostCores / 8]);

/* The calling thread's number, and the core that it runs on; 0 and kMostCores where the system does not tell. */
uint32_t platform_self(void);
uint32_t platform_core(void);

/* A value of the calling thread, for this library; NULL until it is set. `platform_prepare` comes before; returns 0 if it
 * can be had. */
int platform_prepare(void);
void* platform_value(void);
void platform_set_value(void* value);

/* Function of the program by its name; NULL where there is none, or programs cannot be asked. */
void* platform_symbol(const char* name);
