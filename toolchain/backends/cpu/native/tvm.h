/* What compiled code and its host agree on: arguments and tensors. The layouts are those of TVM's FFI 0.1.14 and of
 * DLPack. */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct {
  void* data;
  struct { int32_t type, id; } device;
  int32_t ndim;
  struct { uint8_t code, bits; uint16_t lanes; } dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
} Tensor;

enum { kNone = 0, kInt = 1, kFloat = 3, kDataType = 5, kTensor = 7, kText = 65, kShapeObject = 69, kTensorObject = 70 };
enum { kUnsigned = 1 }; /* code of a type of data */

typedef struct {
  int32_t kind, padding;
  union { int64_t number; void* pointer; Tensor* tensor; } value;
} Any;

typedef int (*Function)(void* self, const Any* arguments, int32_t count, Any* result);
