/* What a compiled network asks of its host. TVM, when it loads the library, sets pointers to functions of its own; here
 * they are set to functions that serve networks of this interface, and hand everybody else's calls on to TVM's. So both
 * may use one library at a time. */
#pragma once

#include "machine.h"

/* See that the pointers lead here. */
void host_adopt(void);

/* The calling thread works for nobody, or for a network from here on, as the thread of this share. Returns for whom it
 * worked. */
Share* host_enter(Share* share);
