#include "builtins.h"

#include <stdlib.h>
#include <string.h>

#include "provides.h"

enum { kNumber = 0, kHeap = 1, kIgnore = 2, kSame = 3 };  /* how a size of match_shape or make_shape is meant */

static int damaged(void) { return fail("the library is damaged: its program makes no sense"); }

/* -- memory for tensors: the n-th request of a run gets the n-th block, which is kept from one run to the next ----- */

static struct { void* data; size_t size; } *blocks;
static size_t used, known;

void builtins_reset(void) { used = 0; }

static void* block(int64_t size) {
  if (size < 0 || size > PTRDIFF_MAX) return NULL;
  if (used == known) {
    void* const more = realloc(blocks, (known + 1) * sizeof *blocks);
    if (!more) return NULL;
    blocks = more;
    blocks[known].data = NULL, blocks[known++].size = 0;
  }
  if (!blocks[used].data || blocks[used].size < (size_t)size) {
    free(blocks[used].data);
    blocks[used].size = (size_t)size;
    if (posix_memalign(&blocks[used].data, 64, size ? (size_t)size : 1)) blocks[used].data = NULL;
  }
  return blocks[used++].data;
}

/* -- the functions ------------------------------------------------------------------------------------------------- */

int object_make(Object* object, int64_t ndim, Any* result) {
  if (ndim < 0 || ndim > kMost) return fail("the program has a tensor of %lld dimensions", (long long)ndim);
  object->tensor.ndim = (int32_t)ndim;
  object->tensor.shape = object->sizes;
  object->tensor.strides = NULL;
  object->tensor.device.type = 1;
  result->value.pointer = object;
  return 0;
}

/* The number at a place of the shape heap, or NULL. */
static int64_t* slot(const Tensor* heap, int64_t place) {
  const int fits = heap->ndim == 1 && heap->dtype.bits == 64 && place >= 0 && place < heap->shape[0];
  return fits ? (int64_t*)heap->data + place : NULL;
}

/* A size that stands in the program, or in the heap, in `value`. */
static int size_of(const Tensor* heap, const Any* how, const Any* what, int64_t* value) {
  if (how->kind != kInt || what->kind != kInt) return damaged();
  const int64_t* stored = how->value.number == kHeap ? slot(heap, what->value.number) : &what->value.number;
  if (!stored) return damaged();
  *value = *stored;
  return 0;
}

static int alloc_shape_heap(const Any* a, int64_t count, Object* object, Any* result) {
  (void)count;
  const int64_t places = a[1].value.number;
  if (places < 0 || places > 1 << 20) return damaged();
  object->sizes[0] = places;
  object->tensor.dtype.bits = 64, object->tensor.dtype.lanes = 1;
  object->tensor.data = block(8 * places);
  if (!object->tensor.data) return fail("there is not enough memory");
  memset(object->tensor.data, 0, 8 * (size_t)places);
  result->kind = kTensor;
  return object_make(object, 1, result);
}

static int nothing(const Any* a, int64_t count, Object* object, Any* result) {
  (void)a, (void)count, (void)object, (void)result;
  return 0;
}
#define check_tensor_info nothing
#define null_value nothing
#define make_tuple nothing

static int match_shape(const Any* a, int64_t count, Object* object, Any* result) {
  (void)object, (void)result;
  const Tensor *tensor = a[0].value.tensor, *heap = a[1].value.tensor;
  if (count < 3 + 2 * tensor->ndim || a[2].value.number != tensor->ndim) return fail("the picture has another shape");
  for (int i = 0; i < tensor->ndim; ++i) {
    const Any *how = &a[3 + 2 * i], *what = &a[4 + 2 * i];
    const int64_t size = tensor->shape[i];
    if (how->kind != kInt || what->kind != kInt) return damaged();
    if (how->value.number == kIgnore) continue;
    int64_t* const stored = how->value.number == kNumber ? NULL : slot(heap, what->value.number);
    if (how->value.number != kNumber && !stored) return damaged();
    if (how->value.number == kHeap) *stored = size;
    const int64_t expected = stored ? *stored : what->value.number;
    if (size != expected) return fail("a tensor's size is %lld, not %lld", (long long)size, (long long)expected);
  }
  return 0;
}

static int make_shape(const Any* a, int64_t count, Object* object, Any* result) {
  if (object_make(object, a[1].value.number, result)) return -1;
  if (count < 2 + 2 * object->tensor.ndim) return damaged();
  for (int i = 0; i < object->tensor.ndim; ++i)
    if (size_of(a[0].value.tensor, &a[2 + 2 * i], &a[3 + 2 * i], &object->sizes[i])) return -1;
  result->kind = kShape;
  return 0;
}

static int make_prim_value(const Any* a, int64_t count, Object* object, Any* result) {
  (void)count, (void)object;
  result->kind = kInt;
  return size_of(a[0].value.tensor, &a[1], &a[2], &result->value.number);
}

static int shape_of(const Any* a, int64_t count, Object* object, Any* result) {
  (void)count;
  const Tensor* tensor = a[0].value.tensor;
  if (object_make(object, tensor->ndim, result)) return -1;
  memcpy(object->sizes, tensor->shape, tensor->ndim * sizeof *tensor->shape);
  result->kind = kShape;
  return 0;
}

static int alloc_storage(const Any* a, int64_t count, Object* object, Any* result) {
  (void)count;
  const Tensor* shape = a[1].value.tensor;
  if (shape->ndim != 1) return damaged();
  object->sizes[0] = shape->shape[0];
  object->tensor.data = block(object->sizes[0]);
  result->kind = kMemory;
  result->value.pointer = object;
  return object->tensor.data ? 0 : fail("there is not enough memory");
}

static int alloc_tensor(const Any* a, int64_t count, Object* object, Any* result) {
  (void)count;
  const Object* memory = a[0].value.pointer;
  const Tensor* shape = a[2].value.tensor;
  const int64_t offset = a[1].value.number;
  if (object_make(object, shape->ndim, result)) return -1;
  memcpy(&object->tensor.dtype, &a[3].value, sizeof object->tensor.dtype);
  int64_t size = (object->tensor.dtype.bits + 7) / 8 * object->tensor.dtype.lanes;
  for (int i = 0; i < shape->ndim; ++i) {
    object->sizes[i] = shape->shape[i];
    if (object->sizes[i] < 0 || __builtin_mul_overflow(size, object->sizes[i], &size)) return damaged();
  }
  if (offset < 0 || offset > memory->sizes[0] || size > memory->sizes[0] - offset) return damaged();
  object->tensor.data = (char*)memory->tensor.data + offset;
  result->kind = kTensor;
  return 0;
}

#define ONE(name, takes) {#name, takes, name},
const Builtin builtins[] = {BUILTINS(ONE){NULL, NULL, NULL}};

static int fits(char what, int32_t kind) {
  switch (what) {
    case 'n': return kind == kInt;
    case 't': return kind == kTensor;
    case 's': return kind == kTensor || kind == kShape;
    case 'm': return kind == kMemory;
    case 'd': return kind == kDataType;
    default: return 1;
  }
}

int builtin_call(const Builtin* builtin, const Any* arguments, int64_t count, Object* object, Any* result) {
  for (int64_t i = 0; builtin->takes[i]; ++i)
    if (i >= count || !fits(builtin->takes[i], arguments[i].kind)) return damaged();
  return builtin->function(arguments, count, object, result);
}
