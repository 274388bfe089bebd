/* What went wrong in a network, told by whichever of its threads came first. */
#pragma once

#include <stdatomic.h>

#include "clipfree.h"

typedef struct {
  _Atomic uint32_t told;
  int32_t status;
  char text[CLIPFREE_MESSAGE];
} Failure;

/* Say a sentence without its period, if nothing was said yet. Returns `status`. */
int32_t fail(Failure* failure, int32_t status, const char* format, ...) __attribute__((format(printf, 3, 4)));

int32_t fail_null(Failure* failure, const char* what);
int32_t fail_memory(Failure* failure);

/* Forget it. */
void failure_clear(Failure* failure);

/* Take a caller's structure, of the size that it begins with, into one of `known` bytes, of which version 1 has `least`.
 * What the caller does not know is 0; what this library does not know must be. */
int32_t structure_read(Failure* failure, void* own, size_t known, const void* given, size_t least);
