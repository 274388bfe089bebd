/* The program of a network: what TVM's virtual machine would run. Its format is that of TVM 0.27, bytecode 0.14; all
 * programs of clipfree's networks are straight: calls, and a return at the end. */
#pragma once

#include "builtins.h"

enum { kCall = 1, kReturn = 2 };
enum { kRegister = 0, kImmediate = 1, kConstant = 2 };
enum { kShapes = 1 }; /* marks of functions: it computes sizes, and touches no pixels */

typedef struct {
  const Builtin** builtins; /* of every function: one of those, or NULL */
  Function* functions;      /* or one of the library */
  uint8_t* marks;
  Any* constants;
  int64_t *starts, *words;  /* where each instruction starts among the words */
  int64_t function_count, constant_count, count, word_count;
  int64_t registers, widest; /* how many there are, and the most arguments of a call */
  int64_t result_storage;    /* the instruction that takes the memory which holds the result only; -1: there is none */
} Program;

/* Read the program that a library carries into that of `network`, and see that it speaks of nothing that is not there. */
int32_t program_open(clipfree* network);

/* What a call's argument means: one of the kinds above, and its number. */
int program_kind(int64_t word);
int64_t program_value(int64_t word);
/* Where there is none: a call's result that is dropped. */
extern const int64_t kVoid;
