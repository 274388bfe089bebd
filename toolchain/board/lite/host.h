/* What a compiled network asks of its host: threads, memory for a while, and a place for its complaints. */
#pragma once

#include "library.h"

/* Start `threads` - 1 threads beside the calling one, once. Returns 0, or -1 with `failure` set. */
int host_start(int threads);

/* Functions that libraries import. */
extern const Import host_imports[];

/* Set the pointers to functions that a library holds. */
void host_lend(const Library* library);
