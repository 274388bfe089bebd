/* Functions of TVM's virtual machine that the programs of clipfree's networks call: those of `BUILTINS`. */
#pragma once

#include "../../native/failure.h"
#include "tvm.h"

enum { kMost = 6 };                                /* dimensions */
enum { kShape = 100, kMemory = 101 };              /* kinds of values besides those of TVM */

/* A tensor, a shape (`sizes`), or memory for tensors (of `sizes[0]` bytes): what an instruction may make. */
typedef struct { Tensor tensor; int64_t sizes[kMost]; } Object;

/* What an instruction works with besides its arguments. */
typedef struct {
  clipfree* network;
  int64_t instruction;
  Object* object; /* that it may make */
} Call;

typedef int32_t (*BuiltinFunction)(const Call* call, const Any* arguments, int64_t count, Any* result);

typedef struct {
  const char *name, *takes; /* see BUILTINS */
  BuiltinFunction function;
} Builtin;

extern const Builtin builtins[]; /* until one without a name */

/* Call it, if that is what it takes. */
int32_t builtin_call(const Builtin* builtin, const Call* call, const Any* arguments, int64_t count, Any* result);

/* Make `object` the value of `result`: a tensor or a shape of `ndim` dimensions. */
int32_t object_make(Failure* failure, Object* object, int64_t ndim, Any* result);
