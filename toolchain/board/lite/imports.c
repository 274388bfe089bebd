#include "imports.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#if defined(__arm__)
#include <signal.h> /* a division by zero raises one */
void __aeabi_ldivmod(void), __aeabi_uldivmod(void); /* in registers of their own, which C has no words for */
void __aeabi_l2f(void), __aeabi_ul2f(void), __aeabi_l2d(void), __aeabi_ul2d(void);
void __aeabi_f2lz(void), __aeabi_f2ulz(void), __aeabi_d2lz(void), __aeabi_d2ulz(void);
void __aeabi_unwind_cpp_pr0(void), __aeabi_unwind_cpp_pr1(void);
#define FURTHER ARMV7A_IMPORTS
#elif defined(__aarch64__)
#define FURTHER AARCH64_IMPORTS
#else
#define FURTHER(X)
#endif

#define ONE(name) {#name, (void*)name},
const Import imports[] = {IMPORTS(ONE) FURTHER(ONE){NULL, NULL}};
