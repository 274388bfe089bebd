#include "host.h"

#include "../../native/libc.h"
#include "provides.h"

Share* host_enter(Share* share) {
  Share* const before = platform_value();
  platform_set_value(share);
  return before;
}

/* -- who else is there ----------------------------------------------------------------------------------------------- */

/* Pointers to functions in the compiled code, which are null until somebody sets them; networks have those they need.
 * macOS would make one of those of all libraries in a process, as weak ones: there they are ours, and hide others. */
#ifdef __APPLE__
#define LOOSE __attribute__((visibility("default")))
#else
#define LOOSE __attribute__((weak)) extern
#endif
#define POINTER(name, function) LOOSE _Atomic(void*) __##name;
LENT(POINTER)
#undef POINTER
LOOSE void* __tvm_ffi__library_ctx;

enum {
#define NUMBER(name, function) number_##function,
  LENT(NUMBER) kLent
#undef NUMBER
};
static _Atomic(void*) others[kLent]; /* what the pointers were */

static _Atomic(void*)* pointer(int number) {
  switch (number) {
#define PLACE(name, function) case number_##function: return &__##name;
    LENT(PLACE)
#undef PLACE
    default: return NULL;
  }
}

typedef struct { void* sync; int32_t tasks; } Group;
typedef int (*Task)(int index, Group* group, void* data);

static int launch(Task task, void* data, int count);
static void* take(int type, int id, uint64_t size, int code, int bits);
static int give(int type, int id, void* data);
static int look_up(void* context, const char* name, void** function);
static int call(void* function, Any* arguments, int32_t count, Any* result);
static int once(void** handle, int (*make)(void** result));

static void* own(int number) {
  switch (number) {
#define OWN(name, function) case number_##function: return (void*)function;
    LENT(OWN)
#undef OWN
    default: return NULL;
  }
}

void host_adopt(void) {
  for (int number = 0; number < kLent; ++number) {
    _Atomic(void*)* const place = pointer(number);
    if (!place) continue;
    void* const found = atomic_load(place);
    if (found == own(number)) continue;
    atomic_store(&others[number], found);
    atomic_store(place, own(number));
  }
}

/* The function of whoever else has loaded the library; NULL if nobody has. */
static void* other(int number) {
  _Atomic(void*)* const place = pointer(number);
  void* const found = place ? atomic_load(place) : NULL;
  return found == own(number) ? atomic_load(&others[number]) : found;
}

/* -- threads: each takes every n-th task of what is launched ------------------------------------------------------- */

typedef struct {
  clipfree* network;
  Task task;
  void* data;
  Group group;
  _Atomic int failed;
} Launch;

static void share(void* work, uint32_t index) {
  Launch* const launch = work;
  const uint32_t threads = launch->network->pool.threads;
  Share* const before = host_enter(&launch->network->shares[index]);
  for (uint32_t i = index; i < (uint32_t)launch->group.tasks; i += threads)
    if (launch->task((int)i, &launch->group, launch->data)) atomic_store(&launch->failed, 1);
  host_enter(before);
}

static int launch(Task task, void* data, int count) {
  Share* const here = platform_value();
  if (!here) return ((int (*)(Task, void*, int))other(number_launch))(task, data, count);
  Pool* const pool = &here->network->pool;
  Launch work = {here->network, task, data, {NULL, count > 0 ? count : (int32_t)pool->threads}, 0};
  pool_run(pool, share, &work);
  return atomic_load(&work.failed);
}

/* -- memory for a while: kept for the next call, which will ask for the same ---------------------------------------- */

/* Take the smallest piece out of the unused ones that has so many bytes, or with `size` 0 the largest of all. NULL if there
 * is none. What the same requests find once they find again: a piece is only ever replaced by a larger one. */
static void* reuse(Share* share, uint64_t size) {
  void** best = NULL; /* what leads to it */
  for (void** at = (void**)&share->unused; *at; at = *at) {
    const uint64_t own = memory_size(*at);
    if (own >= size && (!best || (size ? own < memory_size(*best) : own > memory_size(*best)))) best = at;
  }
  void** const found = best ? *best : NULL;
  if (found) *best = *found;
  return found;
}

static void* take(int type, int id, uint64_t size, int code, int bits) {
  Share* const here = platform_value();
  if (!here) return ((void* (*)(int, int, uint64_t, int, int))other(number_take))(type, id, size, code, bits);
  if (size < sizeof(void*)) size = sizeof(void*);
  void* taken = reuse(here, size);
  if (taken) return taken;
  memory_give(&here->network->memory, reuse(here, 0)); /* all are too small */
  taken = memory_take_raw(&here->network->memory, size);
  if (!taken) fail_memory(&here->network->failure);
  return taken;
}

static int give(int type, int id, void* data) {
  Share* const here = platform_value();
  if (!here) return ((int (*)(int, int, void*))other(number_give))(type, id, data);
  *(void**)data = here->unused;
  here->unused = data;
  return 0;
}

/* -- the one function that kernels look up by name ------------------------------------------------------------------- */

static const char threads_name[] = "runtime.NumThreads";

/* How many threads there are for whoever else calls. */
static int ask_others(Any* result) {
  int (*const find)(void*, const char*, void**) = (int (*)(void*, const char*, void**))other(number_look_up);
  int (*const invoke)(void*, Any*, int32_t, Any*) = (int (*)(void*, Any*, int32_t, Any*))other(number_call);
  void* function;
  *result = (Any){kInt, 0, {1}};
  if (!find || !invoke || !&__tvm_ffi__library_ctx || find(__tvm_ffi__library_ctx, threads_name, &function)) return 0;
  return invoke(function, NULL, 0, result);
}

static int threads(void* self, Any* arguments, int32_t count, Any* result) {
  Share* const here = platform_value();
  (void)self, (void)arguments, (void)count;
  if (!here) return ask_others(result);
  *result = (Any){kInt, 0, {here->network->pool.threads}};
  return 0;
}

/* An object of TVM's, a function: compiled code keeps it, and TVM may be the one that calls it. */
static const struct {
  uint64_t counts;
  int32_t type;
  uint32_t padding;
  union { void (*destroy)(void* self, int flags); int64_t width; } deleter;
  int (*call)(void* self, Any* arguments, int32_t count, Any* result);
  void* cpp;
} threads_function = {(uint64_t)1 << 32 | 1, 68, 0, {NULL}, threads, NULL};

static int look_up(void* context, const char* name, void** function) {
  Share* const here = platform_value();
  if (!here) return ((int (*)(void*, const char*, void**))other(number_look_up))(context, name, function);
  for (size_t i = 0; i < sizeof threads_name; ++i)
    if (name[i] != threads_name[i])
      return fail(&here->network->failure, CLIPFREE_UNSUPPORTED, "the library asks for %s", name);
  *function = (void*)&threads_function;
  return 0;
}

static int call(void* function, Any* arguments, int32_t count, Any* result) {
  if (!platform_value()) {
    int (*const invoke)(void*, Any*, int32_t, Any*) = (int (*)(void*, Any*, int32_t, Any*))other(number_call);
    return invoke ? invoke(function, arguments, count, result) : -1;
  }
  return threads(function, arguments, count, result);
}

static int once(void** handle, int (*make)(void** result)) {
  _Atomic(void*)* const place = (_Atomic(void*)*)handle;
  void* found = NULL;
  if (!platform_value()) return ((int (*)(void**, int (*)(void**)))other(number_once))(handle, make);
  if (atomic_load(place)) return 0;
  if (make(&found)) return -1;
  atomic_store(place, found);
  return 0;
}

/* -- complaints ------------------------------------------------------------------------------------------------------- */

void TVMFFIErrorSetRaisedFromCStr(const char* kind, const char* message);
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count);

void TVMFFIErrorSetRaisedFromCStr(const char* kind, const char* message) {
  TVMFFIErrorSetRaisedFromCStrParts(kind, &message, 1);
}

void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count) {
  static const char name[] = "TVMFFIErrorSetRaisedFromCStrParts";
  Share* const here = platform_value();
  if (!here) {
    void (*const raise)(const char*, const char**, int32_t) = (void (*)(const char*, const char**, int32_t))platform_symbol(name);
    if (raise && raise != TVMFFIErrorSetRaisedFromCStrParts) raise(kind, parts, count);
    return;
  }
  const char* said[4] = {"", "", "", ""};
  for (int32_t i = 0; i < count && i < 4; ++i) said[i] = parts[i];
  fail(&here->network->failure, CLIPFREE_FAILED, "the network fails: %s: %s%s%s%s", kind, said[0], said[1], said[2], said[3]);
}
