#include "host.h"

#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provides.h"

char failure[512];

int fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure, sizeof failure, format, arguments);
  va_end(arguments);
  return -1;
}

/* -- threads: each takes every n-th task of what is launched ---------------------------------------------------- */

typedef struct { void* sync; int32_t tasks; } Group;
typedef int (*Task)(int index, Group* group, void* data);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t begun = PTHREAD_COND_INITIALIZER, ended = PTHREAD_COND_INITIALIZER;
static struct { Task task; void* data; Group group; } work;
static int threads = 1, busy, failed;
static unsigned turn;

static int share(int first) {
  int result = 0;
  for (int i = first; i < work.group.tasks; i += threads) result |= work.task(i, &work.group, work.data);
  return result;
}

static void* serve(void* index) {
  unsigned seen = 0;
  pthread_mutex_lock(&lock);
  for (;;) {
    while (turn == seen) pthread_cond_wait(&begun, &lock);
    seen = turn;
    pthread_mutex_unlock(&lock);
    const int result = share((int)(intptr_t)index);
    pthread_mutex_lock(&lock);
    failed |= result;
    if (!--busy) pthread_cond_signal(&ended);
  }
  return NULL;
}

static int parallel_launch(Task task, void* data, int count) {
  pthread_mutex_lock(&lock);
  work.task = task, work.data = data, work.group.tasks = count > 0 ? count : threads;
  busy = threads - 1, failed = 0, ++turn;
  pthread_cond_broadcast(&begun);
  pthread_mutex_unlock(&lock);
  const int result = share(0);
  pthread_mutex_lock(&lock);
  while (busy) pthread_cond_wait(&ended, &lock);
  pthread_mutex_unlock(&lock);
  return failed | result;
}

int host_start(int count) {
  threads = count;
  for (int i = 1; i < count; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, (void*)(intptr_t)i)) return fail("%d threads cannot be started", count);
  }
  return 0;
}

/* -- memory for a while: kept for the next call, which will ask for the same ------------------------------------- */

typedef struct Block { struct Block* next; uint64_t size; } Block;
enum { kAlignment = 64 };  /* of what is lent; the block's head lies before it */

static pthread_mutex_t store = PTHREAD_MUTEX_INITIALIZER;
static Block* unused;

static void* allocate(int type, int id, uint64_t size, int code, int bits) {
  (void)type, (void)id, (void)code, (void)bits;
  Block* found = NULL;
  pthread_mutex_lock(&store);
  for (Block** at = &unused; *at; at = &(*at)->next)
    if ((*at)->size >= size && (*at)->size / 2 <= size) {
      found = *at, *at = found->next;
      break;
    }
  pthread_mutex_unlock(&store);
  if (!found) {
    if (posix_memalign((void**)&found, kAlignment, kAlignment + size)) return NULL;
    found->size = size;
  }
  return (char*)found + kAlignment;
}

static int give_back(int type, int id, void* data) {
  (void)type, (void)id;
  Block* block = (Block*)((char*)data - kAlignment);
  pthread_mutex_lock(&store);
  block->next = unused, unused = block;
  pthread_mutex_unlock(&store);
  return 0;
}

/* -- what else compiled code calls -------------------------------------------------------------------------------- */

static void complain_in_parts(const char* kind, const char** parts, int32_t count) {
  size_t at = (size_t)snprintf(failure, sizeof failure, "%s: ", kind);
  for (int i = 0; i < count && at < sizeof failure; ++i)
    at += (size_t)snprintf(failure + at, sizeof failure - at, "%s", parts[i]);
}
static void complain(const char* kind, const char* message) { fail("%s: %s", kind, message); }

/* The one function that kernels look up by name is runtime.NumThreads. */
static int look_up(void* context, const char* name, void** function) {
  (void)context;
  *function = (void*)name;
  return strcmp(name, "runtime.NumThreads") ? fail("the library asks for %s", name) : 0;
}
static int call(void* function, Any* arguments, int32_t count, Any* result) {
  (void)function, (void)arguments, (void)count;
  result->kind = kInt;
  result->value.number = threads;
  return 0;
}
static int once(void** handle, int (*make)(void** result)) { return *handle ? 0 : make(handle); }

static void lend(const Library* library, const char* name, void* function) {
  size_t size;
  char* const pointer = library_bytes(library, name, &size);
  if (pointer && library_has(library, (size_t)(pointer - library->base), sizeof function, PF_W)) memcpy(pointer, &function, sizeof function);
}

void host_lend(const Library* library) {
#define LEND(name, function) lend(library, #name, (void*)function);
  LENT(LEND)
}

#ifdef __arm__
#include <signal.h> /* a division by zero raises one */
void __aeabi_ldivmod(void), __aeabi_uldivmod(void); /* in registers of their own, which C has no words for */
void __aeabi_l2f(void), __aeabi_ul2f(void), __aeabi_l2d(void), __aeabi_ul2d(void);
void __aeabi_f2lz(void), __aeabi_f2ulz(void), __aeabi_d2lz(void), __aeabi_d2ulz(void);
static void unwind(void) {} /* named by tables for exceptions, of which there are none */
#else
#undef ARM_IMPORTS
#define ARM_IMPORTS(X)
#endif

#define ONE(name, function) {#name, (void*)function},
const Import host_imports[] = {IMPORTS(ONE) ARM_IMPORTS(ONE){NULL, NULL}};
