#include "machine.h"

#include "../../native/libc.h"
#include "host.h"

int32_t machine_open(clipfree* self) {
  const int32_t status = program_open(self);
  if (status) return status;
  const Program* const program = &self->program;
  self->registers = memory_take(&self->memory, (uint64_t)program->registers * sizeof *self->registers);
  self->arguments = memory_take(&self->memory, ((uint64_t)program->widest + 1) * sizeof *self->arguments);
  self->objects = memory_take(&self->memory, (uint64_t)program->count * sizeof *self->objects);
  self->blocks = memory_take(&self->memory, (uint64_t)program->count * sizeof *self->blocks);
  if (!self->registers || !self->arguments || !self->objects || !self->blocks) return fail_memory(&self->failure);
  return CLIPFREE_OK;
}

static Any meaning(const clipfree* self, int64_t word) {
  const int64_t value = program_value(word);
  switch (program_kind(word)) {
    case kRegister: return value < self->program.registers ? self->registers[value] : (Any){0}; /* else the machine */
    case kConstant: return self->program.constants[value];
    default: return (Any){kInt, 0, {value}};
  }
}

static int32_t give(clipfree* self, const Any* value, const Tensor** result) {
  *result = value->kind == kTensor ? value->value.tensor : NULL;
  if (*result && (*result)->ndim == 3 && (*result)->dtype.code == kUnsigned && (*result)->dtype.bits == 8)
    return CLIPFREE_OK;
  return fail(&self->failure, CLIPFREE_DAMAGED, "the network makes no picture");
}

/* Call the function of an instruction, unless it would compute pixels while memory is only counted. */
static int32_t invoke(clipfree* self, int64_t index, int64_t function, int64_t count, Any* result) {
  const Program* const program = &self->program;
  const Call call = {self, index, &self->objects[index]};
  if (program->builtins[function])
    return builtin_call(program->builtins[function], &call, self->arguments, count, result);
  if (self->dry && program->marks[function] != kShapes) return CLIPFREE_OK;
  if (!program->functions[function](NULL, self->arguments, (int32_t)count, result)) return CLIPFREE_OK;
  fail(&self->failure, CLIPFREE_FAILED, "the network fails");
  return self->failure.status;
}

static int32_t execute(clipfree* self, const Tensor** result) {
  const Program* const program = &self->program;
  for (int64_t i = 0; i < program->count; ++i) {
    const int64_t* word = program->words + program->starts[i];
    if (word[0] == kReturn) return give(self, &self->registers[word[1]], result);
    const int64_t to = word[1], function = word[2], count = word[3];
    Any made = {0};
    for (int64_t k = 0; k < count; ++k) self->arguments[k] = meaning(self, word[4 + k]);
    const int32_t status = invoke(self, i, function, count, &made);
    if (status) return status;
    if (to != kVoid) self->registers[to] = made;
  }
  return fail(&self->failure, CLIPFREE_DAMAGED, "the program does not end");
}

int32_t machine_run(clipfree* self, const uint8_t* pixels, int64_t height, int64_t width, void* place,
                    const Tensor** result) {
  const Geometry* const geometry = &clipfree_network.geometry;
  Object picture = {{(void*)pixels, {1, 0}, 3, {kUnsigned, 8, 1}, NULL, NULL, 0}, {height, width, geometry->channels}};
  memset(self->registers, 0, (size_t)self->program.registers * sizeof *self->registers);
  self->registers[0].kind = kTensor;
  object_make(&self->failure, &picture, 3, &self->registers[0]);
  self->place = place;
  self->place_size = (int64_t)(geometry_scaled(geometry, (uint32_t)height) * geometry_scaled(geometry, (uint32_t)width)) *
                     geometry->channels;
  host_adopt();
  Share* const before = host_enter(&self->shares[0]);
  const int32_t status = execute(self, result);
  host_enter(before);
  return status;
}

static uint64_t larger(uint64_t one, uint64_t other) { return one > other ? one : other; }
static uint64_t smaller(uint64_t one, uint64_t other) { return one < other ? one : other; }

int32_t machine_count(clipfree* self, int64_t height, int64_t width, uint64_t* bytes) {
  const Lines* const lines = &clipfree_network.lines;
  const Tensor* result;
  self->dry = 1;
  self->counted = 0;
  const int32_t status = machine_run(self, NULL, height, width, NULL, &result);
  self->dry = 0;
  const uint64_t few = lines->few + lines->few_more * (uint64_t)width;
  const uint64_t most = lines->most + lines->most_more * (uint64_t)width;
  *bytes = self->counted + self->pool.threads * (smaller(larger(lines->cache, few), most) + lines->scratch);
  return status;
}
