#include "../../native/libc.h"
#include "machine.h"
#include "provides.h"

enum { kNumber = 0, kHeap = 1, kIgnore = 2, kSame = 3 };  /* how a size of match_shape or make_shape is meant */

static int32_t damaged(const Call* call) {
  return fail(&call->network->failure, CLIPFREE_DAMAGED, "the library is damaged: its program makes no sense");
}

/* Memory of this instruction, at least so many bytes, which it has kept from the run before if that is enough. */
static void* block(const Call* call, int64_t size) {
  clipfree* const self = call->network;
  void** const kept = &self->blocks[call->instruction];
  if (size < 0) return NULL;
  if (!*kept || memory_size(*kept) < (uint64_t)size) {
    memory_give(&self->memory, *kept);
    *kept = memory_take_raw(&self->memory, (uint64_t)size);
  }
  return *kept;
}

/* Memory for tensors: where the caller wants the result, or a block; none of that while it is only counted. */
static void* storage(const Call* call, int64_t size) {
  clipfree* const self = call->network;
  if (size < 0) return NULL;
  if (self->dry) return self->counted += (uint64_t)size + 2 * kAlignment, self;
  if (self->place && call->instruction == self->program.result_storage && size <= self->place_size) return self->place;
  return block(call, size);
}

/* -- the functions ------------------------------------------------------------------------------------------------- */

int32_t object_make(Failure* failure, Object* object, int64_t ndim, Any* result) {
  if (ndim < 0 || ndim > kMost)
    return fail(failure, CLIPFREE_DAMAGED, "the program has a tensor of %lld dimensions", (long long)ndim);
  object->tensor.ndim = (int32_t)ndim;
  object->tensor.shape = object->sizes;
  object->tensor.strides = NULL;
  object->tensor.device.type = 1;
  result->value.pointer = object;
  return CLIPFREE_OK;
}

static int32_t make(const Call* call, int64_t ndim, Any* result) {
  return object_make(&call->network->failure, call->object, ndim, result);
}

/* The number at a place of the shape heap, or NULL. */
static int64_t* slot(const Tensor* heap, int64_t place) {
  const int fits = heap->ndim == 1 && heap->dtype.bits == 64 && place >= 0 && place < heap->shape[0];
  return fits ? (int64_t*)heap->data + place : NULL;
}

/* A size that stands in the program, or in the heap, in `value`. */
static int32_t size_of(const Call* call, const Tensor* heap, const Any* how, const Any* what, int64_t* value) {
  if (how->kind != kInt || what->kind != kInt) return damaged(call);
  const int64_t* stored = how->value.number == kHeap ? slot(heap, what->value.number) : &what->value.number;
  if (!stored) return damaged(call);
  *value = *stored;
  return CLIPFREE_OK;
}

static int32_t alloc_shape_heap(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)count;
  Object* const object = call->object;
  const int64_t places = a[1].value.number;
  if (places < 0 || places > 1 << 20) return damaged(call);
  object->sizes[0] = places;
  object->tensor.dtype.bits = 64, object->tensor.dtype.lanes = 1;
  object->tensor.data = block(call, 8 * places);
  if (!object->tensor.data) return fail_memory(&call->network->failure);
  memset(object->tensor.data, 0, 8 * (size_t)places);
  result->kind = kTensor;
  return make(call, 1, result);
}

static int32_t nothing(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)call, (void)a, (void)count, (void)result;
  return CLIPFREE_OK;
}
/* Another name for a value: what a picture of whole units is called. */
static int32_t copy(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)call, (void)count;
  *result = a[0];
  return CLIPFREE_OK;
}

#define check_tensor_info nothing
#define null_value nothing
#define make_tuple nothing

static int32_t match_shape(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)result;
  const Tensor *tensor = a[0].value.tensor, *heap = a[1].value.tensor;
  if (count < 3 + 2 * tensor->ndim || a[2].value.number != tensor->ndim)
    return fail(&call->network->failure, CLIPFREE_DAMAGED, "the picture has another shape");
  for (int i = 0; i < tensor->ndim; ++i) {
    const Any *how = &a[3 + 2 * i], *what = &a[4 + 2 * i];
    const int64_t size = tensor->shape[i];
    if (how->kind != kInt || what->kind != kInt) return damaged(call);
    if (how->value.number == kIgnore) continue;
    int64_t* const stored = how->value.number == kNumber ? NULL : slot(heap, what->value.number);
    if (how->value.number != kNumber && !stored) return damaged(call);
    if (how->value.number == kHeap) *stored = size;
    const int64_t expected = stored ? *stored : what->value.number;
    if (size != expected)
      return fail(&call->network->failure, CLIPFREE_DAMAGED, "a tensor's size is %lld, not %lld", (long long)size,
                  (long long)expected);
  }
  return CLIPFREE_OK;
}

static int32_t make_shape(const Call* call, const Any* a, int64_t count, Any* result) {
  Object* const object = call->object;
  if (make(call, a[1].value.number, result)) return CLIPFREE_FAILED;
  if (count < 2 + 2 * object->tensor.ndim) return damaged(call);
  for (int i = 0; i < object->tensor.ndim; ++i)
    if (size_of(call, a[0].value.tensor, &a[2 + 2 * i], &a[3 + 2 * i], &object->sizes[i])) return CLIPFREE_FAILED;
  result->kind = kShape;
  return CLIPFREE_OK;
}

static int32_t make_prim_value(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)count;
  result->kind = kInt;
  return size_of(call, a[0].value.tensor, &a[1], &a[2], &result->value.number);
}

static int32_t shape_of(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)count;
  Object* const object = call->object;
  const Tensor* tensor = a[0].value.tensor;
  if (make(call, tensor->ndim, result)) return CLIPFREE_FAILED;
  memcpy(object->sizes, tensor->shape, tensor->ndim * sizeof *tensor->shape);
  result->kind = kShape;
  return CLIPFREE_OK;
}

static int32_t alloc_storage(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)count;
  Object* const object = call->object;
  const Tensor* shape = a[1].value.tensor;
  if (shape->ndim != 1) return damaged(call);
  object->sizes[0] = shape->shape[0];
  object->tensor.data = storage(call, object->sizes[0]);
  result->kind = kMemory;
  result->value.pointer = object;
  return object->tensor.data ? CLIPFREE_OK : fail_memory(&call->network->failure);
}

static int32_t alloc_tensor(const Call* call, const Any* a, int64_t count, Any* result) {
  (void)count;
  Object* const object = call->object;
  const Object* memory = a[0].value.pointer;
  const Tensor* shape = a[2].value.tensor;
  const int64_t offset = a[1].value.number;
  if (make(call, shape->ndim, result)) return CLIPFREE_FAILED;
  memcpy(&object->tensor.dtype, &a[3].value, sizeof object->tensor.dtype);
  int64_t size = (object->tensor.dtype.bits + 7) / 8 * object->tensor.dtype.lanes;
  for (int i = 0; i < shape->ndim; ++i) {
    object->sizes[i] = shape->shape[i];
    if (object->sizes[i] < 0 || __builtin_mul_overflow(size, object->sizes[i], &size)) return damaged(call);
  }
  if (offset < 0 || offset > memory->sizes[0] || size > memory->sizes[0] - offset) return damaged(call);
  object->tensor.data = (char*)memory->tensor.data + offset;
  result->kind = kTensor;
  return CLIPFREE_OK;
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

int32_t builtin_call(const Builtin* builtin, const Call* call, const Any* arguments, int64_t count, Any* result) {
  for (int64_t i = 0; builtin->takes[i]; ++i)
    if (i >= count || !fits(builtin->takes[i], arguments[i].kind)) return damaged(call);
  return builtin->function(call, arguments, count, result);
}
