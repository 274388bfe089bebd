#include "network.h"

#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "program.h"

static Library library;
static Program program;
static Any *registers, *arguments;
static Object* objects; /* one that each instruction may make */

int network_open(const char* path, int threads) {
  if (library_open(&library, path, host_imports)) return -1;
  host_lend(&library);
  if (program_open(&program, &library)) return -1;
  registers = calloc((size_t)program.registers, sizeof *registers);
  arguments = calloc((size_t)program.widest + 1, sizeof *arguments);
  objects = calloc((size_t)program.count, sizeof *objects);
  if (!registers || !arguments || !objects) return fail("there is not enough memory");
  return host_start(threads);
}

static Any meaning(int64_t word) {
  const int64_t value = program_value(word);
  switch (program_kind(word)) {
    case kRegister: return value < program.registers ? registers[value] : (Any){0}; /* else the machine itself */
    case kConstant: return program.constants[value];
    default: return (Any){kInt, 0, {value}};
  }
}

static int give(const Any* value, Picture* output) {
  const Tensor* result = value->kind == kTensor ? value->value.tensor : NULL;
  if (!result || result->ndim != 3 || result->dtype.code != kUnsigned || result->dtype.bits != 8)
    return fail("the network makes no picture");
  *output = (Picture){result->shape[0], result->shape[1], result->shape[2], result->data};
  return 0;
}

int network_run(const Picture* input, Picture* output) {
  Object picture = {{input->pixels, {1, 0}, 3, {kUnsigned, 8, 1}, NULL, NULL, 0},
                    {input->height, input->width, input->channels}};
  memset(registers, 0, (size_t)program.registers * sizeof *registers);
  registers[0].kind = kTensor;
  if (object_make(&picture, 3, &registers[0])) return -1;
  builtins_reset();
  for (int64_t i = 0; i < program.count; ++i) {
    const int64_t* word = program.words + program.starts[i];
    if (word[0] == kReturn) return give(&registers[word[1]], output);
    const int64_t to = word[1], function = word[2], count = word[3];
    Any result = {0};
    for (int64_t k = 0; k < count; ++k) arguments[k] = meaning(word[4 + k]);
    const Builtin* builtin = program.builtins[function];
    if (builtin ? builtin_call(builtin, arguments, count, &objects[i], &result)
                : program.functions[function](NULL, arguments, (int32_t)count, &result)) return -1;
    if (to != kVoid) registers[to] = result;
  }
  return fail("the program does not end");
}
