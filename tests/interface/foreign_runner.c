/* Puts a library of macOS or Windows into memory, as its loader would, and upscales a picture with it: runner H W C SCALE
 * < in > out. What it asks of the system is Linux'. image.h is written by macho.py or dll.py. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clipfree.h"
#include "image.h"

static int ulock_wait(uint32_t operation, void* place, uint64_t seen, uint32_t microseconds) {
  return operation == 1 && !microseconds ? (int)syscall(SYS_futex, place, 128, (int)seen, NULL) : -1;
}
static int ulock_wake(uint32_t operation, void* place, uint64_t nothing) {
  return operation == 0x101 && !nothing ? (int)syscall(SYS_futex, place, 129, 0x7fffffff) : -1;
}
static int key_create(unsigned long* key, void (*destroy)(void*)) {
  pthread_key_t made;
  const int status = pthread_key_create(&made, destroy);
  *key = made;
  return status;
}
static int key_delete(unsigned long key) { return pthread_key_delete((pthread_key_t)key); }
static void* get_value(unsigned long key) { return pthread_getspecific((pthread_key_t)key); }
static int set_value(unsigned long key, const void* value) { return pthread_setspecific((pthread_key_t)key, value); }
static long configuration(int what) { return what == 58 ? 2 : -1; }
static void* symbol(void* library, const char* name) { return (void)library, (void)name, NULL; }
static int print(char* text, size_t size, const char* format, void* arguments) { /* which lie otherwise on Arm */
  return (void)arguments, snprintf(text, size, "%s", format);
}

/* -- Windows --------------------------------------------------------------------------------------------------------- */

typedef struct { pthread_t thread; unsigned (*run)(void*); void* argument; } Started;
static void* start(void* argument) {
  Started* const started = argument;
  started->run(started->argument);
  return NULL;
}
static void* create_thread(void* security, size_t stack, unsigned (*run)(void*), void* argument, unsigned flags, unsigned* id) {
  Started* const started = malloc(sizeof *started);
  *started = (Started){0, run, argument};
  if (security || stack || flags || id || pthread_create(&started->thread, NULL, start, started)) return NULL;
  return started;
}
static unsigned wait_for(void* handle, unsigned milliseconds) {
  return milliseconds == 0xffffffff ? (unsigned)pthread_join(((Started*)handle)->thread, NULL) : 1;
}
static int close_handle(void* handle) { return free(handle), 1; }
static unsigned tls_allocate(void) {
  pthread_key_t key;
  return pthread_key_create(&key, NULL) ? 0xffffffff : key;
}
static void* tls_get(unsigned key) { return pthread_getspecific(key); }
static int tls_set(unsigned key, void* value) { return !pthread_setspecific(key, value); }
static int wait_on(void* place, uint32_t* seen, size_t size, unsigned milliseconds) {
  if (size != 4 || milliseconds != 0xffffffff) abort();
  return (int)syscall(SYS_futex, place, 128, (int)*seen, NULL);
}
static void wake_all(void* place) { syscall(SYS_futex, place, 129, 0x7fffffff); }
static void* aligned(size_t size, size_t alignment) {
  void* memory;
  return posix_memalign(&memory, alignment, size) ? NULL : memory;
}
static int has_feature(unsigned number) { return number > 0; }

static const struct { const char* name; void* function; } theirs[] = {
  {"CreateThread", (void*)create_thread}, {"WaitForSingleObject", (void*)wait_for}, {"CloseHandle", (void*)close_handle},
  {"TlsAlloc", (void*)tls_allocate}, {"TlsGetValue", (void*)tls_get}, {"TlsSetValue", (void*)tls_set},
  {"WaitOnAddress", (void*)wait_on}, {"WakeByAddressAll", (void*)wake_all}, {"_aligned_malloc", (void*)aligned},
  {"_aligned_free", (void*)free}, {"IsProcessorFeaturePresent", (void*)has_feature}, {"memmove", (void*)memmove},
  {"__ulock_wait", (void*)ulock_wait}, {"__ulock_wake", (void*)ulock_wake},
  {"pthread_key_create", (void*)key_create}, {"pthread_key_delete", (void*)key_delete},
  {"pthread_getspecific", (void*)get_value}, {"pthread_setspecific", (void*)set_value},
  {"pthread_create", (void*)pthread_create}, {"pthread_join", (void*)pthread_join}, {"sysconf", (void*)configuration},
  {"dlsym", (void*)symbol}, {"vsnprintf", (void*)print}, {"posix_memalign", (void*)posix_memalign},
  {"free", (void*)free}, {"memcpy", (void*)memcpy}, {"memset", (void*)memset}, {"memcmp", (void*)memcmp},
  {"bzero", (void*)bzero}, {"__bzero", (void*)bzero}, {"dyld_stub_binder", (void*)abort},
};

static void* find(const char* name) {
  for (size_t i = 0; i < sizeof theirs / sizeof *theirs; ++i)
    if (!strcmp(theirs[i].name, name)) return theirs[i].function;
  if (kTolerant) return (void*)abort; /* what the C library's start asks for, which is left out */
  fprintf(stderr, "nobody has %s\n", name);
  exit(2);
}

int main(int count, char** words) {
  if (count != 5) return 2;
  uint8_t* const base = mmap(NULL, kSize, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return 2;
  memcpy(base, bytes, sizeof bytes);
  for (size_t i = 0; i < sizeof moved / sizeof *moved; ++i) *(uint64_t*)(base + moved[i]) += (uint64_t)(uintptr_t)base - kPreferred;
  for (size_t i = 0; i < sizeof bound / sizeof *bound; ++i) *(void**)(base + bound[i].at) = find(bound[i].name);
  __builtin___clear_cache((char*)base, (char*)base + kSize);

  const clipfree_functions* (*const get)(uint32_t) = (const clipfree_functions* (*)(uint32_t))(base + kFunctions);
  const clipfree_functions* const functions = get(CLIPFREE_ABI);
  const uint32_t height = (uint32_t)atoi(words[1]), width = (uint32_t)atoi(words[2]), channels = (uint32_t)atoi(words[3]);
  const uint32_t scale = (uint32_t)atoi(words[4]);
  const size_t size = (size_t)height * width * channels, larger = size * scale * scale;
  uint8_t *const pixels = malloc(size), *const result = malloc(larger);
  const int32_t format = channels == 3 ? CLIPFREE_RGB : CLIPFREE_GREY;
  if (fread(pixels, 1, size, stdin) != size) return 2;
  clipfree_picture from = {.size = sizeof from, .format = format, .height = height, .width = width,
                           .planes = {pixels}, .strides = {(ptrdiff_t)(width * channels)}};
  clipfree_picture to = {.size = sizeof to, .format = format, .height = scale * height, .width = scale * width,
                         .planes = {result}, .strides = {(ptrdiff_t)(scale * width * channels)}};
  clipfree_options options = {.size = sizeof options, .threads = 2};
  char message[CLIPFREE_MESSAGE];
  clipfree* network;
  if (functions->open(&network, &options, message)) return fprintf(stderr, "open: %s\n", message), 1;
  if (functions->upscale(network, &from, &to)) return fprintf(stderr, "upscale: %s\n", functions->error(network)), 1;
  if (functions->close(network)) return 1;
  return fwrite(result, 1, larger, stdout) != larger;
}
