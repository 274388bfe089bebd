#include "failure.h"

#include <stdarg.h>

#include "libc.h"

int32_t fail(Failure* failure, int32_t status, const char* format, ...) {
  if (atomic_exchange(&failure->told, 1)) return status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure->text, sizeof failure->text, format, arguments);
  va_end(arguments);
  failure->status = status;
  return status;
}

int32_t fail_null(Failure* failure, const char* what) {
  return fail(failure, CLIPFREE_NULL, "%s is a null pointer", what);
}

int32_t fail_memory(Failure* failure) { return fail(failure, CLIPFREE_NO_MEMORY, "there is not enough memory"); }

void failure_clear(Failure* failure) {
  failure->text[0] = 0;
  failure->status = CLIPFREE_OK;
  atomic_store(&failure->told, 0);
}

int32_t structure_read(Failure* failure, void* own, size_t known, const void* given, size_t least) {
  const size_t size = *(const size_t*)given;
  memset(own, 0, known);
  if (size < least || size > 1 << 16)
    return fail(failure, CLIPFREE_WRONG_ABI, "a structure says that it has %zu bytes, of which it needs %zu", size, least);
  for (size_t at = known; at < size; ++at)
    if (((const char*)given)[at])
      return fail(failure, CLIPFREE_WRONG_ABI, "a structure asks for what a newer version of clipfree has");
  memcpy(own, given, size < known ? size : known);
  return CLIPFREE_OK;
}

const char* clipfree_message(int32_t status) {
  switch (status) {
    case CLIPFREE_OK: return "nothing is wrong";
    case CLIPFREE_NULL: return "a pointer is null that must not be";
    case CLIPFREE_WRONG_ABI: return "a structure is of another version of clipfree";
    case CLIPFREE_WRONG_OPTION: return "an option is out of range";
    case CLIPFREE_WRONG_SIZE: return "a picture has a size that the network does not take";
    case CLIPFREE_WRONG_STRIDE: return "rows of a picture overlap, or reach too far";
    case CLIPFREE_WRONG_FORMAT: return "there are no such pixels";
    case CLIPFREE_OVERLAP: return "the result lies in the memory of the source";
    case CLIPFREE_BUSY: return "another thread is using this network";
    case CLIPFREE_WRONG_CPU: return "this processor lacks an instruction of the library";
    case CLIPFREE_NO_MEMORY: return "there is not enough memory";
    case CLIPFREE_NO_THREADS: return "threads cannot be started";
    case CLIPFREE_NO_DEVICE: return "there is no OpenCL device that can run the network";
    case CLIPFREE_DAMAGED: return "the library is damaged";
    case CLIPFREE_UNSUPPORTED: return "the network needs what only TVM's runtime has";
    case CLIPFREE_FAILED: return "the network failed";
    default: return "there is no such status";
  }
}
