/* The program of a network: what TVM's virtual machine would run. Its format is that of TVM 0.27, bytecode 0.14; all
 * programs of clipfree's networks are straight: calls, and a return at the end. */
#pragma once

#include "builtins.h"
#include "library.h"

enum { kCall = 1, kReturn = 2 };
enum { kRegister = 0, kImmediate = 1, kConstant = 2 };

typedef struct {
  const Builtin** builtins; /* of every function: one of those, or NULL */
  Function* functions;      /* or one of the library */
  Any* constants;
  int64_t *starts, *words;  /* where each instruction starts among the words */
  int64_t function_count, constant_count, count, word_count;
  int64_t registers, widest;  /* how many there are, and the most arguments of a call */
} Program;

/* Read the program that a library carries, and see that it speaks of nothing that is not there. Returns 0, or -1 with
 * `failure` set. */
int program_open(Program* program, const Library* library);

/* What a call's argument means: one of the kinds above, and its number. */
int program_kind(int64_t word);
int64_t program_value(int64_t word);
/* Where there is none: a call's result that is dropped. */
extern const int64_t kVoid;
