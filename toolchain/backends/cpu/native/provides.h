/* What is here for compiled networks, by name. `toolchain.backends.cpu.needs` reads these lists, and has the library say
 * what is missing where a network needs more. */
#pragma once

/* Functions that a library is lent, through pointers of its own of these names after two underscores. */
#define LENT(X) \
  X(TVMBackendParallelLaunch, launch) \
  X(TVMBackendAllocWorkspace, take) \
  X(TVMBackendFreeWorkspace, give) \
  X(TVMFFIEnvModLookupFromImports, look_up) \
  X(TVMFFIFunctionCall, call) \
  X(TVMFFIHandleInitOnce, once)

/* Functions of TVM's virtual machine that programs call, each with what it takes at least: n a number, t a tensor, s a
 * shape or a tensor's, m memory, d a type of data, ? anything. A tuple is made for nobody to read: programs keep its
 * parts. */
#define BUILTINS(X) \
  X(alloc_shape_heap, "?n") \
  X(check_tensor_info, "") \
  X(match_shape, "stn") \
  X(make_shape, "tn") \
  X(make_prim_value, "tnn") \
  X(shape_of, "t") \
  X(alloc_storage, "?s") \
  X(alloc_tensor, "mnsd") \
  X(copy, "?") \
  X(make_tuple, "") \
  X(null_value, "")
