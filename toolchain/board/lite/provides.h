/* What this program has for libraries, by name: functions that they import, functions that they are lent, and those of
 * TVM's virtual machine that their programs call. `clipfree board pack` reads these lists, and refuses what needs more. */
#pragma once

#define IMPORTS(X) \
  X(TVMFFIErrorSetRaisedFromCStrParts, complain_in_parts) \
  X(TVMFFIErrorSetRaisedFromCStr, complain) \
  X(memcpy, memcpy) X(memmove, memmove) X(memset, memset) X(memcmp, memcmp) \
  X(expf, expf) X(logf, logf) X(powf, powf) X(sqrtf, sqrtf) X(tanhf, tanhf) X(sinf, sinf) X(cosf, cosf) X(erff, erff) \
  X(floorf, floorf) X(ceilf, ceilf) X(roundf, roundf) X(rintf, rintf) X(nearbyintf, nearbyintf) X(truncf, truncf) \
  X(fmaf, fmaf) X(fmodf, fmodf) X(fminf, fminf) X(fmaxf, fmaxf) X(floor, floor) X(ceil, ceil)

/* 32-bit Arm calls functions for what other processors have instructions for: divisions of 64 bits and their conversions
 * from and to floats. */
#define ARM_IMPORTS(X) \
  X(__aeabi_ldivmod, __aeabi_ldivmod) X(__aeabi_uldivmod, __aeabi_uldivmod) \
  X(__aeabi_l2f, __aeabi_l2f) X(__aeabi_ul2f, __aeabi_ul2f) X(__aeabi_l2d, __aeabi_l2d) X(__aeabi_ul2d, __aeabi_ul2d) \
  X(__aeabi_f2lz, __aeabi_f2lz) X(__aeabi_f2ulz, __aeabi_f2ulz) X(__aeabi_d2lz, __aeabi_d2lz) \
  X(__aeabi_d2ulz, __aeabi_d2ulz) X(raise, raise) \
  X(__aeabi_unwind_cpp_pr0, unwind) X(__aeabi_unwind_cpp_pr1, unwind)

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
