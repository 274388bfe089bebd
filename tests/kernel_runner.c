/* Call one function of a library that TVM compiled, without TVM: under an emulator, on a machine it has no runtime for.
 *
 * usage: kernel_runner LIBRARY SYMBOL THREADS TIMES < arguments > result
 * An argument is a little-endian int32: -1, then an int64; or a number of dimensions, then the element's type code,
 * bits and lanes as three int32, the shape as int64, and the elements. The result is the last tensor's elements.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../toolchain/backends/cpu/native/tvm.h"

enum { kMost = 64 };

/* What compiled code asks of TVM's runtime. */
void TVMFFIErrorSetRaisedFromCStrParts(const char* kind, const char** parts, int32_t count) {
  fprintf(stderr, "%s: ", kind);
  for (int i = 0; i < count; ++i) fputs(parts[i], stderr);
  fputc('\n', stderr);
}
void TVMFFIErrorSetRaisedFromCStr(const char* kind, const char* message) { fprintf(stderr, "%s: %s\n", kind, message); }
typedef struct { void* sync; int32_t tasks; } Group;
static int TVMBackendParallelLaunch(int (*task)(int, Group*, void*), void* data, int count) {
  Group group = {NULL, count > 0 ? count : 1};
  int failed = 0;
  for (int i = 0; i < group.tasks; ++i) failed |= task(i, &group, data);
  return failed;
}
static void* TVMBackendAllocWorkspace(int type, int id, uint64_t size, int code, int bits) {
  (void)type, (void)id, (void)code, (void)bits;
  return aligned_alloc(64, (size + 63) & ~(uint64_t)63);
}
static int TVMBackendFreeWorkspace(int type, int id, void* data) {
  (void)type, (void)id;
  free(data);
  return 0;
}

static int threads;
/* The one function that kernels look up by name is runtime.NumThreads. */
static int TVMFFIEnvModLookupFromImports(void* context, const char* name, void** function) {
  (void)context;
  *function = (void*)"function";
  return strcmp(name, "runtime.NumThreads");
}
static int TVMFFIFunctionCall(void* function, Any* arguments, int32_t count, Any* result) {
  (void)function, (void)arguments, (void)count;
  result->kind = kInt;
  result->value.number = threads;
  return 0;
}
static int TVMFFIHandleInitOnce(void** handle, int (*make)(void** result)) { return *handle ? 0 : make(handle); }

/* A library holds pointers to those of its functions that TVM's loader would set. */
static void lend(void* library, const char* name, void* function) {
  void** pointer = dlsym(library, name);
  if (pointer) *pointer = function;
}

static void take(void* into, size_t size) {
  if (fread(into, 1, size, stdin) != size) fputs("the arguments end early\n", stderr), exit(3);
}

int main(int argc, char** argv) {
  Any arguments[kMost] = {{0}}, result = {0};
  int count = 0;
  int32_t dimensions, dtype[3];
  size_t size = 0;
  void* library = argc == 5 ? dlopen(argv[1], RTLD_NOW) : NULL;
  Function function = library ? (Function)dlsym(library, argv[2]) : NULL;
  if (!function) return fprintf(stderr, "cannot load: %s\n", argc == 5 ? dlerror() : "four words are needed"), 2;
  lend(library, "__TVMBackendParallelLaunch", TVMBackendParallelLaunch);
  lend(library, "__TVMBackendAllocWorkspace", TVMBackendAllocWorkspace);
  lend(library, "__TVMBackendFreeWorkspace", TVMBackendFreeWorkspace);
  lend(library, "__TVMFFIEnvModLookupFromImports", TVMFFIEnvModLookupFromImports);
  lend(library, "__TVMFFIFunctionCall", TVMFFIFunctionCall);
  lend(library, "__TVMFFIHandleInitOnce", TVMFFIHandleInitOnce);
  while (count < kMost && fread(&dimensions, 4, 1, stdin) == 1) {
    Any* any = &arguments[count++];
    if (dimensions < 0) {
      any->kind = kInt;
      take(&any->value.number, 8);
      continue;
    }
    Tensor* tensor = calloc(1, sizeof *tensor);
    tensor->shape = calloc(dimensions + 1, 8);
    take(dtype, 12);
    take(tensor->shape, 8 * dimensions);
    tensor->device.type = 1;
    tensor->ndim = dimensions;
    tensor->dtype.code = dtype[0], tensor->dtype.bits = dtype[1], tensor->dtype.lanes = dtype[2];
    size = dtype[1] / 8 * dtype[2];
    for (int i = 0; i < dimensions; ++i) size *= tensor->shape[i];
    tensor->data = aligned_alloc(64, (size + 127) & ~(size_t)63);
    take(tensor->data, size);
    any->kind = kTensor;
    any->value.tensor = tensor;
  }
  threads = atoi(argv[3]);
  for (int left = atoi(argv[4]); left > 0; --left)
    if (function(NULL, arguments, count, &result)) return 4;
  fwrite(arguments[count - 1].value.tensor->data, 1, size, stdout);
  return 0;
}
