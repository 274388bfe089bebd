#include "program.h"

#include "../../native/libc.h"
#include "machine.h"

#define VERSION "0.14"
static const uint64_t kProgram = 0xD225DE2F4214151E, kArray = 0xDD5E40F096B4A13F;
const int64_t kVoid = (int64_t)1 << 54;
static const int64_t kMachine = kVoid + 1; /* the register that stands for the machine itself */

/* -- reading: a reader that went too far has no place any more ----------------------------------------------------- */

typedef struct { const char *at, *end; } Reader;

static const char* take(Reader* reader, uint64_t size) {
  const char* here = reader->at;
  if (!here || size > (uint64_t)(reader->end - here)) return reader->at = reader->end = NULL;
  reader->at += size;
  return here;
}
static void read_into(Reader* reader, void* value, size_t size) {
  const char* from = take(reader, size);
  from ? memcpy(value, from, size) : memset(value, 0, size);
}
static int64_t number(Reader* reader) {
  int64_t value;
  read_into(reader, &value, 8);
  return value;
}
static Reader text(Reader* reader) {
  const uint64_t size = number(reader);
  const char* from = take(reader, size);
  return (Reader){from, from ? from + size : NULL};
}
static size_t strlength(const char* word) {
  size_t size = 0;
  while (word[size]) ++size;
  return size;
}
static int is(Reader text, const char* word) {
  const size_t size = strlength(word);
  return text.at && (size_t)(text.end - text.at) == size && !memcmp(text.at, word, size);
}
/* So many records of at least `least` bytes, which there must be. */
static int64_t records(Reader* reader, size_t least) {
  const uint64_t count = number(reader);
  if (reader->at && count <= (uint64_t)(reader->end - reader->at) / least) return (int64_t)count;
  take(reader, UINT64_MAX);
  return 0;
}
static void* array(clipfree* network, int64_t count, size_t size) {
  return memory_take(&network->memory, ((uint64_t)count + 1) * size);
}
static int32_t damaged(clipfree* network) {
  return fail(&network->failure, CLIPFREE_DAMAGED, "the library is damaged");
}
static int32_t unsupported(clipfree* network, const char* what) {
  return fail(&network->failure, CLIPFREE_UNSUPPORTED, "the program has %s", what);
}

static Function function_of(Reader name) {
  for (const Kernel* one = clipfree_network.kernels; one->name; ++one)
    if (is(name, one->name)) return one->function;
  return NULL;
}

static int starts_with(Reader name, const char* word) {
  const size_t size = strlength(word);
  return (size_t)(name.end - name.at) >= size && !memcmp(name.at, word, size);
}

static int32_t read_function(clipfree* network, Reader* reader, int64_t index) {
  static const char prefix[] = "vm.builtin.";
  Program* const program = &network->program;
  const char* kind = take(reader, 4);
  const Reader name = text(reader);
  take(reader, 24);
  const int64_t registers = number(reader);
  for (int64_t left = records(reader, 8); left > 0; --left) text(reader);
  if (!reader->at) return damaged(network);
  if (*kind) {
    if (!is(name, "main")) return unsupported(network, "a function besides main");
    program->registers = registers;
    return CLIPFREE_OK;
  }
  if (starts_with(name, prefix)) {
    for (const Builtin* one = builtins; one->name; ++one)
      if (is((Reader){name.at + sizeof prefix - 1, name.end}, one->name)) program->builtins[index] = one;
  } else {
    program->functions[index] = function_of(name);
    /* Those that TVM makes to compute sizes: VMShapeLower and ComputePrimValue call them so. */
    if (starts_with(name, "shape_func") || starts_with(name, "compute_symbolic_expr")) program->marks[index] = kShapes;
  }
  if (program->builtins[index] || program->functions[index]) return CLIPFREE_OK;
  const int length = name.end - name.at < 200 ? (int)(name.end - name.at) : 200;
  return fail(&network->failure, CLIPFREE_UNSUPPORTED, "the network needs %.*s, which only TVM's runtime has", length,
              name.at);
}

static int32_t read_tensor(clipfree* network, Reader* reader, Object* object, Any* value) {
  int32_t ndim;
  if ((uint64_t)number(reader) != kArray) return damaged(network);
  take(reader, 16);
  read_into(reader, &ndim, 4);
  read_into(reader, &object->tensor.dtype, 4);
  if (object_make(&network->failure, object, ndim, value)) return CLIPFREE_DAMAGED;
  uint64_t size = (object->tensor.dtype.bits + 7u) / 8u * object->tensor.dtype.lanes;
  for (int i = 0; i < ndim; ++i) {
    object->sizes[i] = number(reader);
    if (object->sizes[i] < 0 || __builtin_mul_overflow(size, (uint64_t)object->sizes[i], &size)) return damaged(network);
  }
  if ((uint64_t)number(reader) != size) return damaged(network);
  const char* from = take(reader, size);
  if (!from) return damaged(network);
  object->tensor.data = memory_take_raw(&network->memory, size);
  if (!object->tensor.data) return fail_memory(&network->failure);
  memcpy(object->tensor.data, from, (size_t)size);
  value->kind = kTensor;
  return CLIPFREE_OK;
}

static int32_t read_shape(clipfree* network, Reader* reader, Object* object, Any* value) {
  const int64_t ndim = records(reader, 8);
  if (object_make(&network->failure, object, ndim, value)) return CLIPFREE_DAMAGED;
  for (int64_t i = 0; i < ndim; ++i) object->sizes[i] = number(reader);
  value->kind = kShape;
  return CLIPFREE_OK;
}

static int32_t read_constant(clipfree* network, Reader* reader, Any* value) {
  read_into(reader, &value->kind, 4);
  if (value->kind == kTensorObject || value->kind == kShapeObject) {
    Object* object = array(network, 0, sizeof *object);
    if (!object) return fail_memory(&network->failure);
    return (value->kind == kTensorObject ? read_tensor : read_shape)(network, reader, object, value);
  }
  if (value->kind == kText) return text(reader), CLIPFREE_OK;
  if (value->kind == kDataType) return read_into(reader, &value->value, 4), CLIPFREE_OK;
  if (value->kind == kInt || value->kind == kFloat) return value->value.number = number(reader), CLIPFREE_OK;
  return unsupported(network, "a constant of a kind that is not known here");
}

static int64_t* read_words(clipfree* network, Reader* reader, int64_t* count) {
  *count = records(reader, 8);
  int64_t* words = array(network, *count, 8);
  if (words) read_into(reader, words, 8 * (size_t)*count);
  return words;
}

/* The program among what the library carries: the tree of its modules, then each with its name in front. */
static int32_t find(clipfree* network, Reader* reader) {
  uint64_t size;
  memcpy(&size, clipfree_network.program, 8);
  if (size > PTRDIFF_MAX) return damaged(network);
  *reader = (Reader){clipfree_network.program + 8, clipfree_network.program + 8 + size};
  for (int i = 0; i < 2; ++i) take(reader, 8 * (uint64_t)records(reader, 8));
  if (!is(text(reader), "relax.VMExecutable")) return damaged(network);
  *reader = text(reader);
  if ((uint64_t)number(reader) != kProgram || !is(text(reader), VERSION))
    return unsupported(network, "the form of another version of TVM");
  return CLIPFREE_OK;
}

/* -- checking ------------------------------------------------------------------------------------------------------ */

int program_kind(int64_t word) { return (int)((uint64_t)word >> 56); }
int64_t program_value(int64_t word) { return (int64_t)((uint64_t)word << 8) >> 8; }

static int is_register(const Program* program, int64_t value) { return value >= 0 && value < program->registers; }

static int is_argument(const Program* program, int64_t word) {
  const int64_t value = program_value(word);
  switch (program_kind(word)) {
    case kRegister: return is_register(program, value) || value == kMachine;
    case kImmediate: return 1;
    case kConstant: return value >= 0 && value < program->constant_count;
    default: return 0;
  }
}

static int32_t check(clipfree* network) {
  Program* const program = &network->program;
  for (int64_t i = 0; i < program->count; ++i) {
    const int64_t start = program->starts[i], left = program->word_count - start;
    if (start < 0 || left < 2) return damaged(network);
    const int64_t* word = program->words + start;
    if (word[0] == kReturn) {
      if (!is_register(program, word[1])) return damaged(network);
      continue;
    }
    if (word[0] != kCall) return unsupported(network, "branches");
    if (left < 4 || word[3] < 0 || word[3] > left - 4 || word[2] < 0 || word[2] >= program->function_count ||
        (!program->builtins[word[2]] && !program->functions[word[2]]) ||
        (word[1] != kVoid && !is_register(program, word[1])))
      return damaged(network);
    for (int64_t k = 0; k < word[3]; ++k)
      if (!is_argument(program, word[4 + k])) return damaged(network);
    if (program->widest < word[3]) program->widest = word[3];
  }
  return CLIPFREE_OK;
}

static const int64_t* instruction(const Program* program, int64_t index) { return program->words + program->starts[index]; }

static int calls(const Program* program, const int64_t* word, const char* name) {
  const Builtin* const builtin = word[0] == kCall ? program->builtins[word[2]] : NULL;
  return builtin && is((Reader){builtin->name, builtin->name + strlength(builtin->name)}, name);
}

/* The last instruction before `end` that gives a register its value; -1 if none does. */
static int64_t writer(const Program* program, int64_t reg, int64_t end) {
  for (int64_t i = end - 1; i >= 0; --i)
    if (instruction(program, i)[0] == kCall && instruction(program, i)[1] == reg) return i;
  return -1;
}

/* Where the memory of the result is taken, if no other tensor shares it: then it may be the caller's. */
static int64_t find_result_storage(const Program* program) {
  int64_t end = 0, users = 0;
  while (end < program->count && instruction(program, end)[0] != kReturn) ++end;
  if (end == program->count) return -1;
  const int64_t tensor = writer(program, instruction(program, end)[1], end);
  if (tensor < 0 || !calls(program, instruction(program, tensor), "alloc_tensor")) return -1;
  const int64_t* const word = instruction(program, tensor);
  if (word[3] < 1 || program_kind(word[4]) != kRegister) return -1;
  const int64_t reg = program_value(word[4]), storage = writer(program, reg, tensor);
  if (storage < 0 || !calls(program, instruction(program, storage), "alloc_storage")) return -1;
  for (int64_t i = storage + 1; i < end && (i < tensor || instruction(program, i)[1] != reg); ++i)
    for (int64_t k = 0; k < instruction(program, i)[3]; ++k)
      users += program_kind(instruction(program, i)[4 + k]) == kRegister && program_value(instruction(program, i)[4 + k]) == reg;
  return users == 1 ? storage : -1;
}

int32_t program_open(clipfree* network) {
  Program* const program = &network->program;
  Reader reader;
  int32_t status = find(network, &reader);
  if (status) return status;
  program->function_count = records(&reader, 8);
  program->builtins = array(network, program->function_count, sizeof *program->builtins);
  program->functions = array(network, program->function_count, sizeof *program->functions);
  program->marks = array(network, program->function_count, 1);
  if (!program->builtins || !program->functions || !program->marks) return fail_memory(&network->failure);
  for (int64_t i = 0; i < program->function_count && !status; ++i) status = read_function(network, &reader, i);
  if (status) return status;
  if (records(&reader, 8)) return unsupported(network, "memory of several kinds");
  program->constant_count = records(&reader, 4);
  program->constants = array(network, program->constant_count, sizeof *program->constants);
  if (!program->constants) return fail_memory(&network->failure);
  for (int64_t i = 0; i < program->constant_count && !status; ++i)
    status = read_constant(network, &reader, &program->constants[i]);
  if (status) return status;
  program->starts = read_words(network, &reader, &program->count);
  program->words = read_words(network, &reader, &program->word_count);
  if (!program->starts || !program->words) return fail_memory(&network->failure);
  if (!reader.at || !program->count || program->registers < 1 || program->registers > 1 << 20) return damaged(network);
  status = check(network);
  if (!status) program->result_storage = find_result_storage(program);
  return status;
}
