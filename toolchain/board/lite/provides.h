/* What this program has for libraries, by name: functions that they import, functions that they are lent, and those of
 * TVM's virtual machine that their programs call. `clipfree board pack` reads these lists, and refuses what needs more. */
#pragma once

#define IMPORTS(X) \
  X(TVMFFIErrorSetRaisedFromCStrParts, complain_in_parts) \
  X(TVMFFIErrorSetRaisedFromCStr, complain) \
  X(memcpy, memcpy) X(memmove, memmove) X(memset, memset) X(memcmp, memcmp) \
  X(expf, expf) X(logf, logf) X(powf, powf) X(sqrtf, sqrtf) X(tanhf, tanhf) X(sinf, sinf) X(cosf, cosf) X(erff, erff) \
  X(floorf, floorf) X(ceilf, ceilf) X(roundf, roundf) X(rintf, rintf) X(nearbyintf, nearbyintf) X(truncf, truncf) \
  X(fmaf, fmaf) X(fmodf, fmodf) X(fminf, fminf) X(fmaxf, fmaxf)

/* 32-bit Arm calls functions for what other processors have instructions for. */
#define ARM_IMPORTS(X) \
  X(__divdi3, __divdi3) X(__moddi3, __moddi3) X(__aeabi_unwind_cpp_pr0, unwind)

#define LENT(X) \
  X(__TVMBackendParallelLaunch, parallel_launch) \
  X(__TVMBackendAllocWorkspace, allocate) \
  X(__TVMBackendFreeWorkspace, give_back) \
  X(__TVMFFIEnvModLookupFromImports, look_up) \
  X(__TVMFFIFunctionCall, call) \
  X(__TVMFFIHandleInitOnce, once)

/* Each with what it takes at least: n a number, t a tensor, s a shape or a tensor's, m memory, d a type of data, ?
 * anything. A tuple is made for nobody to read: programs keep its parts. */
#define BUILTINS(X) \
  X(alloc_shape_heap, "?n") \
  X(check_tensor_info, "") \
  X(match_shape, "stn") \
  X(make_shape, "tn") \
  X(make_prim_value, "tnn") \
  X(shape_of, "t") \
  X(alloc_storage, "?s") \
  X(alloc_tensor, "mnsd") \
  X(make_tuple, "") \
  X(null_value, "")
