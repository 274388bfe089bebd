/* Linux, Android and macOS. No header of theirs is needed: compilers for other systems come without. */
#ifndef _WIN32
#include "platform.h"

int posix_memalign(void** memory, size_t alignment, size_t size);
void free(void* memory);

#ifdef __APPLE__
typedef unsigned long Key;
#else
typedef unsigned Key;
#endif
int pthread_create(uintptr_t* thread, const void* attributes, void* (*run)(void*), void* argument);
int pthread_join(uintptr_t thread, void** result);
int pthread_key_create(Key* key, void (*destroy)(void*));
int pthread_key_delete(Key key);
void* pthread_getspecific(Key key);
int pthread_setspecific(Key key, const void* value);

void* platform_allocate(void* nothing, size_t bytes, size_t alignment) {
  void* memory;
  (void)nothing;
  return posix_memalign(&memory, alignment, bytes) ? NULL : memory;
}

void platform_release(void* nothing, void* memory, size_t bytes) {
  (void)nothing, (void)bytes;
  free(memory);
}

static void* run(void* argument) {
  Thread* const thread = argument;
  thread->run(thread->argument);
  return NULL;
}

int platform_start(Thread* thread) { return pthread_create(&thread->handle, NULL, run, thread); }
void platform_join(Thread* thread) { pthread_join(thread->handle, NULL); }

/* -- a value of each thread: thread-local variables would need a loader that knows of them ------------------------- */

static _Atomic uintptr_t key; /* plus 1; 0: there is none yet */

int platform_prepare(void) {
  Key made;
  uintptr_t none = 0;
  if (atomic_load(&key)) return 0;
  if (pthread_key_create(&made, NULL)) return -1;
  if (!atomic_compare_exchange_strong(&key, &none, (uintptr_t)made + 1)) pthread_key_delete(made);
  return 0;
}

#ifndef __APPLE__ /* where it would be called by the list of what is to be done at the end, after the library is gone */
__attribute__((destructor)) static void unload(void) {
  if (atomic_load(&key)) pthread_key_delete((Key)(atomic_load(&key) - 1));
}
#endif

void* platform_value(void) {
  const uintptr_t found = atomic_load_explicit(&key, memory_order_acquire);
  return found ? pthread_getspecific((Key)(found - 1)) : NULL;
}
void platform_set_value(void* value) { pthread_setspecific((Key)(atomic_load(&key) - 1), value); }

/* -- sleep, and cores ------------------------------------------------------------------------------------------------ */

#ifdef __APPLE__

enum { kCompareAndWait = 1, kAll = 0x100, kOnlineCores = 58 };
int __ulock_wait(uint32_t operation, void* place, uint64_t seen, uint32_t microseconds);
int __ulock_wake(uint32_t operation, void* place, uint64_t nothing);
long sysconf(int what);

void platform_wait(_Atomic uint32_t* place, uint32_t seen) { __ulock_wait(kCompareAndWait, place, seen, 0); }
void platform_wake(_Atomic uint32_t* place) { __ulock_wake(kCompareAndWait | kAll, place, 0); }

uint32_t platform_cores(void) {
  const long cores = sysconf(kOnlineCores);
  return cores > 0 ? (uint32_t)cores : 1;
}
/* The system has no such things. */
void platform_allowed(uint8_t cores[kMostCores / 8]) { (void)cores; }
int platform_pin(uint32_t thread, const uint8_t cores[kMostCores / 8]) { return (void)thread, (void)cores, -1; }
uint32_t platform_self(void) { return 0; }
uint32_t platform_core(void) { return kMostCores; }

#else

#if defined(__x86_64__)
enum { kFutex = 202, kSetAffinity = 203, kGetAffinity = 204, kSelf = 186, kCore = 309 };
#elif defined(__aarch64__)
enum { kFutex = 98, kSetAffinity = 122, kGetAffinity = 123, kSelf = 178, kCore = 168 };
#elif defined(__arm__)
enum { kFutex = 240, kSetAffinity = 241, kGetAffinity = 242, kSelf = 224, kCore = 345 };
#else
#error "system calls of this processor are not known here"
#endif
enum { kWait = 128, kWake = 129, kEverybody = 0x7fffffff }; /* of one process */
long syscall(long number, ...);

void platform_wait(_Atomic uint32_t* place, uint32_t seen) { syscall(kFutex, place, (long)kWait, (long)seen, NULL); }
void platform_wake(_Atomic uint32_t* place) { syscall(kFutex, place, (long)kWake, (long)kEverybody); }

/* Eight times as many as are used: systems refuse masks shorter than their own. */
static long allowed(uint8_t mask[kMostCores]) { return syscall(kGetAffinity, 0L, (long)kMostCores, mask); }

uint32_t platform_cores(void) {
  uint8_t mask[kMostCores] = {0};
  uint32_t count = 0;
  const long size = allowed(mask);
  for (long at = 0; at < 8 * size; ++at) count += mask[at / 8] >> at % 8 & 1;
  return count ? count : 1;
}
void platform_allowed(uint8_t cores[kMostCores / 8]) {
  uint8_t mask[kMostCores] = {0};
  if (allowed(mask) <= 0) return;
  for (uint32_t at = 0; at < kMostCores / 8; ++at) cores[at] = mask[at];
}
int platform_pin(uint32_t thread, const uint8_t cores[kMostCores / 8]) {
  return syscall(kSetAffinity, (long)thread, (long)kMostCores / 8, cores) ? -1 : 0;
}
uint32_t platform_self(void) {
  const long number = syscall(kSelf);
  return number > 0 ? (uint32_t)number : 0;
}
uint32_t platform_core(void) {
  uint32_t core = kMostCores;
  return syscall(kCore, &core, NULL, NULL) ? kMostCores : core;
}

#endif

/* -- symbols --------------------------------------------------------------------------------------------------------- */

__attribute__((weak)) void* dlsym(void* library, const char* name); /* not in every old C library, nor in static programs */

#if defined(__APPLE__)
#define EVERYWHERE ((void*)-2)
#elif defined(__ANDROID__) && !defined(__LP64__)
#define EVERYWHERE ((void*)-1)
#else
#define EVERYWHERE NULL
#endif

void* platform_symbol(const char* name) { return dlsym ? dlsym(EVERYWHERE, name) : NULL; }

#else
typedef int nothing; /* a file holds something */
#endif
