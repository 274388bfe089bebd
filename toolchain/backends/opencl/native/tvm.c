// The network under TVM's calling convention, so that its RPC can load it: open(kind) tells the device, main(pixels,
// result) upscales, times(pixels, result, seconds) does too and tells float64 seconds of each launch. Tuning runs kernels
// on tensors of its own: give(buffer, tensor), take(buffer, tensor), launch(height, width, times), which returns the mean
// of the seconds that the device counted; close() gives back what it holds.
#include "clipfree_opencl.h"
#include "driver.h"
#include "host.h"
#include "network.h"
#include "tensors.h"

// What is used of TVM's FFI (tvm/ffi/c_api.h) and of DLPack.
struct any {
  int32_t type, padding;
  union {
    int64_t number;
    double real;
    void *pointer;
  } value;
};
struct bytes {
  const char *data;
  size_t size;
};
struct tensor {
  void *data;
  int32_t device_type, device_id, dimensions;
  uint8_t code, bits;
  uint16_t lanes;
  int64_t *shape, *strides;
  uint64_t offset;
};
enum { TYPE_INT = 1, TYPE_FLOAT = 3, TYPE_TENSOR = 7, TYPE_TENSOR_OBJECT = 70, OBJECT_HEADER = 24 };
enum { CODE_UNSIGNED = 1, CODE_FLOAT = 2 };

// Weak: a program without TVM does not have them, and does not call these functions.
__attribute__((weak)) void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message);
__attribute__((weak)) int TVMFFIStringFromByteArray(const struct bytes *text, struct any *result);

static struct clipfree *network;

static int raise(const char *message) {
  if (TVMFFIErrorSetRaisedFromCStr) TVMFFIErrorSetRaisedFromCStr("RuntimeError", message);
  return -1;
}

static const struct tensor *tensor_of(const struct any *value) {
  if (value->type == TYPE_TENSOR) return value->value.pointer;
  if (value->type == TYPE_TENSOR_OBJECT) return (const struct tensor *)((char *)value->value.pointer + OBJECT_HEADER);
  return NULL;
}

static unsigned char *data_of(const struct tensor *tensor) { return (unsigned char *)tensor->data + tensor->offset; }

static int is_picture(const struct tensor *tensor) {
  return tensor && tensor->dimensions == 3 && tensor->code == CODE_UNSIGNED && tensor->bits == 8 &&
         tensor->shape[2] == clipfree_network.channels;
}

static clipfree_picture picture_of(const struct tensor *tensor) {
  return (clipfree_picture){sizeof(clipfree_picture),
                            tensor->shape[2] == 3 ? CLIPFREE_RGB : CLIPFREE_GREY,
                            (uint32_t)tensor->shape[0],
                            (uint32_t)tensor->shape[1],
                            {data_of(tensor)},
                            {(ptrdiff_t)(tensor->shape[1] * tensor->shape[2])}};
}

// The side of the result for a side of the picture, rounded down.
static int64_t scaled(int64_t side) { return side * clipfree_network.scale / clipfree_network.over; }

static int call(const struct any *values, int32_t count, struct any *result) {
  const struct tensor *pixels = count > 1 ? tensor_of(&values[0]) : NULL;
  const struct tensor *large = count > 1 ? tensor_of(&values[1]) : NULL;
  const struct tensor *seconds = count > 2 ? tensor_of(&values[2]) : NULL;
  *result = (struct any){0};
  if (!network) return raise("open the network first");
  if (!is_picture(pixels) || !is_picture(large) || large->shape[0] != scaled(pixels->shape[0]) ||
      large->shape[1] != scaled(pixels->shape[1]))
    return raise("the network takes u8 (height, width, channels) and u8 of the result's size");
  if (count > 2 && (!seconds || seconds->dimensions != 1 || seconds->shape[0] != clipfree_launches() ||
                    seconds->code != CODE_FLOAT || seconds->bits != 64))
    return raise("the seconds are float64, one for each launch");
  const clipfree_picture source = picture_of(pixels), enlarged = picture_of(large);
  if (clipfree_upscale_timed(network, &source, &enlarged, seconds ? (double *)data_of(seconds) : NULL))
    return raise(clipfree_error(network));
  return 0;
}

int __tvm_ffi_open(void *self, const struct any *values, int32_t count, struct any *result) {
  char message[CLIPFREE_MESSAGE];
  if (count != 1 || values[0].type != TYPE_INT) return raise("open takes a kind of device");
  host_close(network);
  network = host_open(NULL, (int32_t)values[0].value.number, message);
  if (!network) return raise(message);
  const char *name = clipfree_device(network);
  struct bytes text = {name, 0};
  while (name[text.size]) ++text.size;
  return TVMFFIStringFromByteArray ? TVMFFIStringFromByteArray(&text, result) : -1;
}

int __tvm_ffi_main(void *self, const struct any *values, int32_t count, struct any *result) {
  return call(values, count > 2 ? 0 : count, result);
}

int __tvm_ffi_times(void *self, const struct any *values, int32_t count, struct any *result) {
  return call(values, count == 3 ? count : 0, result);
}

int __tvm_ffi_close(void *self, const struct any *values, int32_t count, struct any *result) {
  *result = (struct any){0};
  host_close(network);
  network = NULL;
  return 0;
}

static size_t size_of(const struct tensor *tensor) {
  size_t size = tensor->bits / 8;
  for (int32_t axis = 0; axis < tensor->dimensions; ++axis) size *= (size_t)tensor->shape[axis];
  return size;
}

// The tensor of give and take, or NULL after an error.
static const struct tensor *tensor_for(const struct any *values, int32_t count, struct any *result) {
  const struct tensor *tensor = count == 2 && values[0].type == TYPE_INT ? tensor_of(&values[1]) : NULL;
  *result = (struct any){0};
  if (network && tensor) return tensor;
  raise(network ? "give and take want a buffer's number and a tensor" : "open the network first");
  return NULL;
}

int __tvm_ffi_give(void *self, const struct any *values, int32_t count, struct any *result) {
  const struct tensor *tensor = tensor_for(values, count, result);
  char message[CLIPFREE_MESSAGE];
  if (!tensor) return -1;
  const int done = clipfree_give(network, (int)values[0].value.number, data_of(tensor), size_of(tensor), message);
  return done ? 0 : raise(message);
}

int __tvm_ffi_take(void *self, const struct any *values, int32_t count, struct any *result) {
  const struct tensor *tensor = tensor_for(values, count, result);
  char message[CLIPFREE_MESSAGE];
  if (!tensor) return -1;
  const int done = clipfree_take(network, (int)values[0].value.number, data_of(tensor), size_of(tensor), message);
  return done ? 0 : raise(message);
}

int __tvm_ffi_launch(void *self, const struct any *values, int32_t count, struct any *result) {
  char message[CLIPFREE_MESSAGE];
  double total = 0, seconds[clipfree_launches()];
  *result = (struct any){0};
  if (!network) return raise("open the network first");
  for (int place = 0; place < 3; ++place)
    if (count != 3 || values[place].type != TYPE_INT || values[place].value.number < 1)
      return raise("launch wants a height, a width and how often");
  const int64_t times = values[2].value.number;
  for (int64_t time = 0; time < times; ++time) {
    if (!clipfree_launch(network, (int)values[0].value.number, (int)values[1].value.number, seconds, message))
      return raise(message);
    for (int at = 0; at < clipfree_launches(); ++at) total += seconds[at];
  }
  result->type = TYPE_FLOAT;
  result->value.real = total / (double)times;
  return 0;
}
