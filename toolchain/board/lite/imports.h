/* What libraries import from this program, by name. `clipfree board pack` reads the lists, and refuses what needs more. */
#pragma once

#include "library.h"

#define IMPORTS(X) \
  X(memcpy) X(memmove) X(memset) X(memcmp) X(posix_memalign) X(free) X(vsnprintf) X(syscall) \
  X(pthread_create) X(pthread_join) \
  X(pthread_key_create) X(pthread_key_delete) X(pthread_getspecific) X(pthread_setspecific) \
  X(expf) X(logf) X(powf) X(sqrtf) X(tanhf) X(sinf) X(cosf) X(erff) \
  X(floorf) X(ceilf) X(roundf) X(rintf) X(nearbyintf) X(truncf) \
  X(fmaf) X(fmodf) X(fminf) X(fmaxf) X(floor) X(ceil)

/* Arm tells what a processor can do by a function. */
#define AARCH64_IMPORTS(X) X(getauxval)

/* 32-bit Arm calls functions for what other processors have instructions for: divisions of 64 bits and their conversions
 * from and to floats. */
#define ARMV7A_IMPORTS(X) \
  X(getauxval) X(raise) \
  X(__aeabi_ldivmod) X(__aeabi_uldivmod) X(__aeabi_l2f) X(__aeabi_ul2f) X(__aeabi_l2d) X(__aeabi_ul2d) \
  X(__aeabi_f2lz) X(__aeabi_f2ulz) X(__aeabi_d2lz) X(__aeabi_d2ulz) \
  X(__aeabi_unwind_cpp_pr0) X(__aeabi_unwind_cpp_pr1)

/* All of them, until one without a name. */
extern const Import imports[];
