#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static int is(Reader text, const char* word) {
  const size_t size = strlen(word);
  return text.at && (size_t)(text.end - text.at) == size && !memcmp(text.at, word, size);
}
/* So many records of at least `least` bytes, which there must be. */
static int64_t records(Reader* reader, size_t least) {
  const uint64_t count = number(reader);
  if (reader->at && count <= (uint64_t)(reader->end - reader->at) / least) return (int64_t)count;
  take(reader, UINT64_MAX);
  return 0;
}
static void* array(int64_t count, size_t size) { return calloc((size_t)count + 1, size); }
static int damaged(void) { return fail("the library is damaged"); }

static int read_function(Program* program, Reader* reader, int64_t index, const Library* library) {
  const char* kind = take(reader, 4);
  const Reader name = text(reader);
  take(reader, 24);
  const int64_t registers = number(reader);
  for (int64_t left = records(reader, 8); left > 0; --left) text(reader);
  if (!reader->at) return damaged();
  if (*kind) {
    if (!is(name, "main")) return fail("the program has a function besides main");
    program->registers = registers;
    return 0;
  }
  char symbol[256];
  const int length = name.end - name.at < 200 ? (int)(name.end - name.at) : 200;
  if (length > 11 && !memcmp(name.at, "vm.builtin.", 11)) {
    for (const Builtin* one = builtins; one->name; ++one)
      if (is((Reader){name.at + 11, name.end}, one->name)) program->builtins[index] = one;
  } else {
    snprintf(symbol, sizeof symbol, "__tvm_ffi_%.*s", length, name.at);
    program->functions[index] = (Function)library_symbol(library, symbol);
  }
  if (program->builtins[index] || program->functions[index]) return 0;
  return fail("the network needs %.*s, which only TVM's runtime has", length, name.at);
}

static int read_tensor(Reader* reader, Object* object, Any* value) {
  int32_t ndim;
  if ((uint64_t)number(reader) != kArray) return damaged();
  take(reader, 16);
  read_into(reader, &ndim, 4);
  read_into(reader, &object->tensor.dtype, 4);
  if (object_make(object, ndim, value)) return -1;
  uint64_t size = (object->tensor.dtype.bits + 7u) / 8u * object->tensor.dtype.lanes;
  for (int i = 0; i < ndim; ++i) {
    object->sizes[i] = number(reader);
    if (object->sizes[i] < 0 || __builtin_mul_overflow(size, (uint64_t)object->sizes[i], &size)) return damaged();
  }
  if ((uint64_t)number(reader) != size) return damaged();
  const char* from = take(reader, size);
  if (!from) return damaged();
  if (posix_memalign(&object->tensor.data, 64, size ? size : 1)) return fail("there is not enough memory");
  memcpy(object->tensor.data, from, size);
  value->kind = kTensor;
  return 0;
}

static int read_shape(Reader* reader, Object* object, Any* value) {
  const int64_t ndim = records(reader, 8);
  if (object_make(object, ndim, value)) return -1;
  for (int64_t i = 0; i < ndim; ++i) object->sizes[i] = number(reader);
  value->kind = kShape;
  return 0;
}

static int read_constant(Reader* reader, Any* value) {
  read_into(reader, &value->kind, 4);
  if (value->kind == kTensorObject || value->kind == kShapeObject) {
    Object* object = calloc(1, sizeof *object);
    if (!object) return fail("there is not enough memory");
    return (value->kind == kTensorObject ? read_tensor : read_shape)(reader, object, value);
  }
  if (value->kind == kText) return text(reader), 0;
  if (value->kind == kDataType) return read_into(reader, &value->value, 4), 0;
  if (value->kind == kInt || value->kind == kFloat) return value->value.number = number(reader), 0;
  return fail("the program has a constant of kind %d", (int)value->kind);
}

static int64_t* read_words(Reader* reader, int64_t* count) {
  *count = records(reader, 8);
  int64_t* words = array(*count, 8);
  if (words) read_into(reader, words, 8 * (size_t)*count);
  return words;
}

/* The program among what the library carries: the tree of its modules, then each with its name in front. */
static int find(Reader* reader, const Library* library) {
  size_t most;
  const char* carried = library_bytes(library, "__tvm_ffi__library_bin", &most);
  uint64_t size;
  if (!carried || most < 8) return fail("the library holds no network");
  memcpy(&size, carried, 8);
  if (size > most - 8) return damaged();
  *reader = (Reader){carried + 8, carried + 8 + size};
  for (int i = 0; i < 2; ++i) take(reader, 8 * (uint64_t)records(reader, 8));
  if (!is(text(reader), "relax.VMExecutable")) return fail("the library holds no network");
  *reader = text(reader);
  if ((uint64_t)number(reader) != kProgram || !is(text(reader), VERSION))
    return fail("the library is of another version of TVM; deploy the model again");
  return 0;
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

static int check(Program* program) {
  for (int64_t i = 0; i < program->count; ++i) {
    const int64_t start = program->starts[i], left = program->word_count - start;
    if (start < 0 || left < 2) return damaged();
    const int64_t* word = program->words + start;
    if (word[0] == kReturn) {
      if (!is_register(program, word[1])) return damaged();
      continue;
    }
    if (word[0] != kCall) return fail("the program does not go straight on");
    if (left < 4 || word[3] < 0 || word[3] > left - 4 || word[2] < 0 || word[2] >= program->function_count ||
        (!program->builtins[word[2]] && !program->functions[word[2]]) ||
        (word[1] != kVoid && !is_register(program, word[1])))
      return damaged();
    for (int64_t k = 0; k < word[3]; ++k)
      if (!is_argument(program, word[4 + k])) return damaged();
    if (program->widest < word[3]) program->widest = word[3];
  }
  return 0;
}

int program_open(Program* program, const Library* library) {
  Reader reader;
  if (find(&reader, library)) return -1;
  program->function_count = records(&reader, 8);
  program->builtins = array(program->function_count, sizeof *program->builtins);
  program->functions = array(program->function_count, sizeof *program->functions);
  if (!program->builtins || !program->functions) return fail("there is not enough memory");
  for (int64_t i = 0; i < program->function_count; ++i)
    if (read_function(program, &reader, i, library)) return -1;
  if (records(&reader, 8)) return fail("the program has memory of several kinds");
  program->constant_count = records(&reader, 4);
  program->constants = array(program->constant_count, sizeof *program->constants);
  if (!program->constants) return fail("there is not enough memory");
  for (int64_t i = 0; i < program->constant_count; ++i)
    if (read_constant(&reader, &program->constants[i])) return -1;
  program->starts = read_words(&reader, &program->count);
  program->words = read_words(&reader, &program->word_count);
  if (!program->starts || !program->words) return fail("there is not enough memory");
  if (!reader.at || !program->count || program->registers < 1 || program->registers > 1 << 20) return damaged();
  return check(program);
}
