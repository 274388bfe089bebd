#include "network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* The program's format is that of TVM 0.27: its Relax virtual machine's bytecode, version 0.14. Of its functions those
 * are known here that clipfree's networks call; all of their programs are straight. */
#define VERSION "0.14"
enum { kCall = 1, kReturn = 2 };
enum { kRegister = 0, kImmediate = 1, kConstant = 2 };
enum { kNumber = 0, kHeap = 1, kIgnore = 2, kSame = 3 };  /* how a size of match_shape or make_shape is meant */
enum { kMost = 6, kShape = 100, kStorage = 101 };         /* most dimensions; kinds of values besides those of TVM */
static const uint64_t kProgram = 0xD225DE2F4214151E, kArray = 0xDD5E40F096B4A13F;
static const int64_t kVoid = (int64_t)1 << 54;

/* A tensor, or a shape alone. */
typedef struct { Tensor tensor; int64_t sizes[kMost]; } Object;

typedef int (*Builtin)(const Any* arguments, int count, Object* object, Any* result);

static struct {
  Library library;
  Builtin* builtins;    /* of every function: one of those below, or NULL */
  Function* functions;  /* or one of the library */
  Any* constants;
  int64_t *starts, *words, count, registers;  /* of the instructions: where each starts among the words */
  Object* objects;                            /* one that each instruction may make */
} network;

/* -- memory for tensors: the n-th request of a run gets the n-th block, which is kept from one run to the next --------- */

static struct { void* data; size_t size; } *blocks;
static size_t used, known;

static void* block(size_t size) {
  if (used == known) {
    blocks = realloc(blocks, ++known * sizeof *blocks);
    blocks[used].data = NULL, blocks[used].size = 0;
  }
  if (blocks[used].size < size) {
    free(blocks[used].data);
    blocks[used].size = size;
    if (posix_memalign(&blocks[used].data, 64, size)) blocks[used].data = NULL, blocks[used].size = 0;
  }
  return blocks[used++].data;
}

/* -- functions of TVM's virtual machine ------------------------------------------------------------------------------- */

static int make(Object* object, int ndim, Any* result) {
  if (ndim < 0 || ndim > kMost) return fail("the program has a tensor of %d dimensions", ndim);
  object->tensor.ndim = ndim;
  object->tensor.shape = object->sizes;
  object->tensor.strides = NULL;
  object->tensor.device.type = 1;
  result->value.pointer = object;
  return 0;
}

static int alloc_shape_heap(const Any* a, int count, Object* object, Any* result) {
  (void)count;
  object->sizes[0] = a[1].value.number;
  object->tensor.dtype.bits = 64, object->tensor.dtype.lanes = 1;
  object->tensor.data = block(8 * object->sizes[0]);
  result->kind = kTensor;
  return object->tensor.data ? make(object, 1, result) : fail("there is not enough memory");
}

static int nothing(const Any* a, int count, Object* object, Any* result) {
  (void)a, (void)count, (void)object, (void)result;
  return 0;
}

static int match_shape(const Any* a, int count, Object* object, Any* result) {
  (void)object, (void)result;
  const Tensor* tensor = a[0].value.tensor;
  int64_t* heap = a[1].value.tensor->data;
  if (count < 3 + 2 * tensor->ndim || a[2].value.number != tensor->ndim) return fail("the picture has another shape");
  for (int i = 0; i < tensor->ndim; ++i) {
    const int64_t how = a[3 + 2 * i].value.number, value = a[4 + 2 * i].value.number, size = tensor->shape[i];
    if (how == kHeap) heap[value] = size;
    else if ((how == kNumber && size != value) || (how == kSame && size != heap[value]))
      return fail("a tensor's size is %lld, not %lld", (long long)size, (long long)(how == kSame ? heap[value] : value));
  }
  return 0;
}

static int make_shape(const Any* a, int count, Object* object, Any* result) {
  const int64_t* heap = a[0].value.tensor->data;
  if (make(object, a[1].value.number, result) || count < 2 + 2 * object->tensor.ndim) return -1;
  for (int i = 0; i < object->tensor.ndim; ++i) {
    const int64_t value = a[3 + 2 * i].value.number;
    object->sizes[i] = a[2 + 2 * i].value.number == kHeap ? heap[value] : value;
  }
  result->kind = kShape;
  return 0;
}

static int make_prim_value(const Any* a, int count, Object* object, Any* result) {
  (void)count, (void)object;
  const int64_t* heap = a[0].value.tensor->data;
  result->kind = kInt;
  result->value.number = a[1].value.number == kHeap ? heap[a[2].value.number] : a[2].value.number;
  return 0;
}

static int alloc_storage(const Any* a, int count, Object* object, Any* result) {
  (void)count, (void)object;
  const Object* shape = a[1].value.pointer;
  result->kind = kStorage;
  result->value.pointer = block(shape->sizes[0]);
  return result->value.pointer ? 0 : fail("there is not enough memory");
}

static int alloc_tensor(const Any* a, int count, Object* object, Any* result) {
  (void)count;
  const Object* shape = a[2].value.pointer;
  memcpy(object->sizes, shape->sizes, sizeof object->sizes);
  object->tensor.data = (char*)a[0].value.pointer + a[1].value.number;
  memcpy(&object->tensor.dtype, &a[3].value, sizeof object->tensor.dtype);
  result->kind = kTensor;
  return make(object, shape->tensor.ndim, result);
}

static const struct { const char* name; Builtin function; } builtins[] = {
  {"alloc_shape_heap", alloc_shape_heap}, {"check_tensor_info", nothing}, {"match_shape", match_shape},
  {"make_shape", make_shape}, {"make_prim_value", make_prim_value}, {"alloc_storage", alloc_storage},
  {"alloc_tensor", alloc_tensor}, {"null_value", nothing}, {NULL, NULL},
};

/* -- reading the program ---------------------------------------------------------------------------------------------- */

typedef struct { const char *at, *end; } Reader;

static const char* take(Reader* reader, uint64_t size) {
  const char* here = reader->at;
  if (size > (uint64_t)(reader->end - reader->at)) return reader->at = reader->end = NULL;
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
  return (size_t)(text.end - text.at) == size && !memcmp(text.at, word, size);
}
/* So many records of at least `least` bytes, which there must be. */
static int64_t records(Reader* reader, size_t least) {
  const uint64_t count = number(reader);
  return count <= (uint64_t)(reader->end - reader->at) / least ? (int64_t)count : (take(reader, UINT64_MAX), 0);
}

static int read_function(Reader* reader, int64_t index) {
  const char* kind = take(reader, 4);
  const Reader name = text(reader);
  take(reader, 24);
  const int64_t registers = number(reader);
  for (int64_t left = records(reader, 8); left > 0; --left) text(reader);
  if (!reader->at) return 0;
  if (*kind) {
    if (!is(name, "main")) return fail("the program has a function besides main");
    network.registers = registers;
    return 0;
  }
  char symbol[256];
  const int length = (int)(name.end - name.at);
  if (length > 11 && !memcmp(name.at, "vm.builtin.", 11)) {
    for (int i = 0; builtins[i].name; ++i)
      if (is((Reader){name.at + 11, name.end}, builtins[i].name)) network.builtins[index] = builtins[i].function;
  } else {
    snprintf(symbol, sizeof symbol, "__tvm_ffi_%.*s", length, name.at);
    network.functions[index] = (Function)library_symbol(&network.library, symbol);
  }
  if (network.builtins[index] || network.functions[index]) return 0;
  return fail("the network needs %.*s, which only TVM's runtime has", length, name.at);
}

static int read_tensor(Reader* reader, Any* value) {
  Object* object = calloc(1, sizeof *object);
  int32_t ndim;
  if ((uint64_t)number(reader) != kArray) take(reader, UINT64_MAX);
  take(reader, 16);
  read_into(reader, &ndim, 4);
  read_into(reader, &object->tensor.dtype, 4);
  if (make(object, ndim, value)) return -1;
  for (int i = 0; i < ndim; ++i) object->sizes[i] = number(reader);
  const uint64_t size = number(reader);
  const char* from = take(reader, size);
  if (!from) return 0;
  if (posix_memalign(&object->tensor.data, 64, size ? size : 1)) return fail("there is not enough memory");
  memcpy(object->tensor.data, from, size);
  value->kind = kTensor;
  return 0;
}

static int read_constant(Reader* reader, Any* value) {
  read_into(reader, &value->kind, 4);
  if (value->kind == kTensorObject) return read_tensor(reader, value);
  if (value->kind == kText) return text(reader), 0;
  if (value->kind == kDataType) return read_into(reader, &value->value, 4), 0;
  if (value->kind == kInt) return value->value.number = number(reader), 0;
  return fail("the program has a constant of kind %d", value->kind);
}

static int64_t* read_words(Reader* reader, int64_t* count) {
  *count = records(reader, 8);
  int64_t* words = calloc(*count + 1, 8);
  read_into(reader, words, 8 * *count);
  return words;
}

/* The program among what the library carries: the tree of its modules, then each with its name in front. */
static int find(Reader* reader) {
  const char* carried = library_symbol(&network.library, "__tvm_ffi__library_bin");
  uint64_t size;
  if (!carried) return fail("the library holds no network");
  memcpy(&size, carried, 8);
  *reader = (Reader){carried + 8, carried + 8 + size};
  for (int i = 0; i < 2; ++i) take(reader, 8 * records(reader, 8));
  if (!is(text(reader), "relax.VMExecutable")) return fail("the library holds no network");
  *reader = text(reader);
  if ((uint64_t)number(reader) != kProgram || !is(text(reader), VERSION))
    return fail("the library is of another version of TVM; deploy the model again");
  return 0;
}

int network_open(const char* path, int threads) {
  Reader reader;
  if (library_open(&network.library, path, host_imports)) return -1;
  host_lend(&network.library);
  if (find(&reader)) return -1;
  const int64_t functions = records(&reader, 8);
  network.builtins = calloc(functions + 1, sizeof *network.builtins);
  network.functions = calloc(functions + 1, sizeof *network.functions);
  for (int64_t i = 0; i < functions; ++i)
    if (read_function(&reader, i)) return -1;
  if (records(&reader, 8)) return fail("the program has memory of several kinds");
  const int64_t constants = records(&reader, 4);
  network.constants = calloc(constants + 1, sizeof *network.constants);
  for (int64_t i = 0; i < constants; ++i)
    if (read_constant(&reader, &network.constants[i])) return -1;
  int64_t words;
  network.starts = read_words(&reader, &network.count);
  network.words = read_words(&reader, &words);
  network.objects = calloc(network.count + 1, sizeof *network.objects);
  if (!reader.at || !words) return fail("the library is damaged");
  return host_start(threads);
}

/* -- running it ------------------------------------------------------------------------------------------------------- */

static Any argument(int64_t word, const Any* registers) {
  const int64_t value = (int64_t)((uint64_t)word << 8) >> 8;
  switch ((uint64_t)word >> 56) {
    case kRegister: return value < network.registers ? registers[value] : (Any){0};  /* else the machine itself */
    case kConstant: return network.constants[value];
    default: return (Any){kInt, 0, {value}};
  }
}

int network_run(const Picture* input, Picture* output) {
  Object picture = {{input->pixels, {1, 0}, 3, {1, 8, 1}, NULL, NULL, 0}, {input->height, input->width, input->channels}};
  Any registers[network.registers + 1];
  memset(registers, 0, sizeof registers);
  registers[0].kind = kTensor;
  if (make(&picture, 3, &registers[0])) return -1;
  used = 0;
  for (int64_t i = 0; i < network.count; ++i) {
    const int64_t* word = network.words + network.starts[i];
    if (word[0] == kReturn) {
      const Tensor* result = registers[word[1]].value.tensor;
      *output = (Picture){result->shape[0], result->shape[1], result->shape[2], result->data};
      return 0;
    }
    if (word[0] != kCall) return fail("the program does not go straight on");
    const int64_t to = word[1], function = word[2], count = word[3];
    Any arguments[count + 1], result = {0};
    for (int64_t k = 0; k < count; ++k) arguments[k] = argument(word[4 + k], registers);
    const Builtin builtin = network.builtins[function];
    if (builtin ? builtin(arguments, (int)count, &network.objects[i], &result)
                : network.functions[function](NULL, arguments, (int32_t)count, &result)) return -1;
    if (to != kVoid) registers[to] = result;
  }
  return fail("the program does not end");
}
