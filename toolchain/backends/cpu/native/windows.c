/* Windows, from 8 on. None of its headers is needed: compilers for other systems come without. */
#ifdef _WIN32
#include "platform.h"

typedef void* Handle;
#define CALLED __attribute__((dllimport))

CALLED void* _aligned_malloc(size_t size, size_t alignment);
CALLED void _aligned_free(void* memory);
CALLED Handle CreateThread(void* security, size_t stack, unsigned long (*run)(void*), void* argument,
                           unsigned long flags, unsigned long* id);
CALLED unsigned long WaitForSingleObject(Handle object, unsigned long milliseconds);
CALLED int CloseHandle(Handle object);
CALLED unsigned long TlsAlloc(void);
CALLED int TlsFree(unsigned long index);
CALLED void* TlsGetValue(unsigned long index);
CALLED int TlsSetValue(unsigned long index, void* value);
CALLED Handle GetCurrentProcess(void);
CALLED Handle GetCurrentThread(void);
CALLED int GetProcessAffinityMask(Handle process, size_t* own, size_t* system);
CALLED size_t SetThreadAffinityMask(Handle thread, size_t mask);
CALLED void* GetModuleHandleA(const char* name);
CALLED void* GetProcAddress(void* module, const char* name);
int WaitOnAddress(volatile void* place, void* seen, size_t size, unsigned long milliseconds);
void WakeByAddressAll(void* place);

#define FOREVER 0xffffffffu

void* platform_allocate(void* nothing, size_t bytes, size_t alignment) {
  (void)nothing;
  return _aligned_malloc(bytes, alignment);
}

void platform_release(void* nothing, void* memory, size_t bytes) {
  (void)nothing, (void)bytes;
  _aligned_free(memory);
}

static unsigned long run(void* argument) {
  Thread* const thread = argument;
  thread->run(thread->argument);
  return 0;
}

int platform_start(Thread* thread) {
  thread->handle = (uintptr_t)CreateThread(NULL, 0, run, thread, 0, NULL);
  return thread->handle ? 0 : -1;
}

void platform_join(Thread* thread) {
  WaitForSingleObject((Handle)thread->handle, FOREVER);
  CloseHandle((Handle)thread->handle);
}

static _Atomic uint32_t key; /* plus 1; 0: there is none yet */

int platform_prepare(void) {
  uint32_t none = 0;
  if (atomic_load(&key)) return 0;
  const unsigned long made = TlsAlloc();
  if (made == FOREVER) return -1;
  if (!atomic_compare_exchange_strong(&key, &none, (uint32_t)made + 1)) TlsFree(made);
  return 0;
}

__attribute__((destructor)) static void unload(void) {
  if (atomic_load(&key)) TlsFree(atomic_load(&key) - 1);
}

void* platform_value(void) {
  const uint32_t found = atomic_load_explicit(&key, memory_order_acquire);
  return found ? TlsGetValue(found - 1) : NULL;
}
void platform_set_value(void* value) { TlsSetValue(atomic_load(&key) - 1, value); }

void platform_wait(_Atomic uint32_t* place, uint32_t seen) { WaitOnAddress(place, &seen, sizeof seen, FOREVER); }
void platform_wake(_Atomic uint32_t* place) { WakeByAddressAll((void*)place); }

uint32_t platform_cores(void) {
  size_t own, system;
  return GetProcessAffinityMask(GetCurrentProcess(), &own, &system) && own ? (uint32_t)__builtin_popcountll(own) : 1;
}

/* Not told: no thread is moved. */
void platform_allowed(uint8_t cores[kMostCores / 8]) { (void)cores; }
uint32_t platform_self(void) { return 0; }
uint32_t platform_core(void) { return kMostCores; }

/* Of the process's group of processors, which are 64 at most, and only the calling thread. */
int platform_pin(uint32_t thread, const uint8_t cores[kMostCores / 8]) {
  if (thread) return -1;
  size_t mask = 0;
  for (size_t i = 0; i < sizeof mask; ++i) mask |= (size_t)cores[i] << 8 * i;
  for (size_t i = sizeof mask; i < kMostCores / 8; ++i)
    if (cores[i]) return -1;
  return SetThreadAffinityMask(GetCurrentThread(), mask) ? 0 : -1;
}

void* platform_symbol(const char* name) { return GetProcAddress(GetModuleHandleA(NULL), name); }

#else
typedef int nothing; /* a file holds something */
#endif
