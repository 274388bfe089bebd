/* Functions of TVM's virtual machine that the programs of clipfree's networks call: those of `BUILTINS`. */
#pragma once

#include "tvm.h"

enum { kMost = 6 };                                /* dimensions */
enum { kShape = 100, kMemory = 101 };              /* kinds of values besides those of TVM */

/* A tensor, a shape (`sizes`), or memory for tensors (of `sizes[0]` bytes): what an instruction may make. */
typedef struct { Tensor tensor; int64_t sizes[kMost]; } Object;

/* Returns 0, or -1 with `failure` set. */
typedef int (*BuiltinFunction)(const Any* arguments, int64_t count, Object* object, Any* result);

typedef struct {
  const char *name, *takes; /* see BUILTINS */
  BuiltinFunction function;
} Builtin;

extern const Builtin builtins[]; /* until one without a name */

/* Call it, if that is what it takes. */
int builtin_call(const Builtin* builtin, const Any* arguments, int64_t count, Object* object, Any* result);

/* Memory that was given out before may be given out again. */
void builtins_reset(void);

/* Make `object` the value of `result`: a tensor or a shape of `ndim` dimensions. */
int object_make(Object* object, int64_t ndim, Any* result);
