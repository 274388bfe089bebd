// The part of OpenCL 1.2 that is used here, found in the driver's library at run time: a phone's libOpenCL.so is not
// there when a program for it is linked.
#ifndef CLIPFREE_DRIVER_H
#define CLIPFREE_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "clipfree_opencl.h"

// Of the C library, declared here: a compiler for another system may come without that system's headers.
void *calloc(size_t count, size_t size);
void free(void *memory);
int snprintf(char *text, size_t size, const char *format, ...);

typedef struct cl_platform *cl_platform_id;
typedef struct cl_device *cl_device_id;
typedef struct cl_context_ *cl_context;
typedef struct cl_queue *cl_command_queue;
typedef struct cl_program_ *cl_program;
typedef struct cl_kernel_ *cl_kernel;
typedef struct cl_mem_ *cl_mem;
typedef struct cl_event_ *cl_event;
typedef void cl_notify(void *, void *);
typedef void cl_context_notify(const char *, const void *, size_t, void *);

enum {
  CL_FAILED_BUILD = -11,
  CL_TYPE_CPU = 1 << 1,
  CL_TYPE_GPU = 1 << 2,
  CL_TYPE_ALL = -1,
  CL_MEM_READ_WRITE = 1 << 0,
  CL_MEM_READ_ONLY = 1 << 2,
  CL_MEM_COPY_HOST = 1 << 5,
  CL_QUEUE_PROFILING = 1 << 1,
  CL_FP_ROUND_TO_NEAREST = 1 << 2,
  CL_PLATFORM_NAME = 0x0902,
  CL_DEVICE_TYPE = 0x1000,
  CL_DEVICE_MAX_WORK_ITEM_SIZES = 0x1005,
  CL_DEVICE_MAX_MEM_ALLOC_SIZE = 0x1010,
  CL_DEVICE_SINGLE_FP_CONFIG = 0x101B,
  CL_DEVICE_NAME = 0x102B,
  CL_DEVICE_VERSION = 0x102F,
  CL_DEVICE_EXTENSIONS = 0x1030,
  CL_PROGRAM_BUILD_LOG = 0x1183,
  CL_KERNEL_WORK_GROUP_SIZE = 0x11B0,
  CL_PROFILING_START = 0x1282,
  CL_PROFILING_END = 0x1283,
};

#define CL_FUNCTIONS(X)                                                                                               \
  X(clGetPlatformIDs, uint32_t, cl_platform_id *, uint32_t *)                                                         \
  X(clGetPlatformInfo, cl_platform_id, uint32_t, size_t, void *, size_t *)                                            \
  X(clGetDeviceIDs, cl_platform_id, uint64_t, uint32_t, cl_device_id *, uint32_t *)                                   \
  X(clGetDeviceInfo, cl_device_id, uint32_t, size_t, void *, size_t *)                                                \
  X(clBuildProgram, cl_program, uint32_t, const cl_device_id *, const char *, cl_notify *, void *)                    \
  X(clGetProgramBuildInfo, cl_program, cl_device_id, uint32_t, size_t, void *, size_t *)                              \
  X(clGetKernelWorkGroupInfo, cl_kernel, cl_device_id, uint32_t, size_t, void *, size_t *)                            \
  X(clSetKernelArg, cl_kernel, uint32_t, size_t, const void *)                                                        \
  X(clEnqueueFillBuffer, cl_command_queue, cl_mem, const void *, size_t, size_t, size_t, uint32_t, const cl_event *,  \
    cl_event *)                                                                                                       \
  X(clEnqueueWriteBuffer, cl_command_queue, cl_mem, uint32_t, size_t, size_t, const void *, uint32_t,                 \
    const cl_event *, cl_event *)                                                                                     \
  X(clEnqueueReadBuffer, cl_command_queue, cl_mem, uint32_t, size_t, size_t, void *, uint32_t, const cl_event *,      \
    cl_event *)                                                                                                       \
  X(clEnqueueNDRangeKernel, cl_command_queue, cl_kernel, uint32_t, const size_t *, const size_t *, const size_t *,    \
    uint32_t, const cl_event *, cl_event *)                                                                           \
  X(clWaitForEvents, uint32_t, const cl_event *)                                                                      \
  X(clFinish, cl_command_queue)                                                                                       \
  X(clGetEventProfilingInfo, cl_event, uint32_t, size_t, void *, size_t *)                                            \
  X(clReleaseEvent, cl_event)                                                                                         \
  X(clReleaseMemObject, cl_mem)                                                                                       \
  X(clReleaseKernel, cl_kernel)                                                                                       \
  X(clReleaseProgram, cl_program)                                                                                     \
  X(clReleaseCommandQueue, cl_command_queue)                                                                          \
  X(clReleaseContext, cl_context)

#define CL_CONSTRUCTORS(X)                                                                                            \
  X(cl_context, clCreateContext, const intptr_t *, uint32_t, const cl_device_id *, cl_context_notify *, void *,       \
    int32_t *)                                                                                                        \
  X(cl_command_queue, clCreateCommandQueue, cl_context, cl_device_id, uint64_t, int32_t *)                            \
  X(cl_mem, clCreateBuffer, cl_context, uint64_t, size_t, void *, int32_t *)                                          \
  X(cl_program, clCreateProgramWithSource, cl_context, uint32_t, const char **, const size_t *, int32_t *)            \
  X(cl_kernel, clCreateKernel, cl_program, const char *, int32_t *)

struct driver {
#define CL_POINTER(name, ...) int32_t (*name)(__VA_ARGS__);
  CL_FUNCTIONS(CL_POINTER)
#undef CL_POINTER
#define CL_POINTER(type, name, ...) type (*name)(__VA_ARGS__);
  CL_CONSTRUCTORS(CL_POINTER)
#undef CL_POINTER
};

struct device {
  cl_device_id id;
  char name[320];    // and its platform's
  int version;       // the first number of OpenCL's
  int halves;        // whether float16 is worth storing: a GPU without cl_khr_fp16 would convert by a program
  uint64_t largest;  // bytes of a buffer
  size_t items[3];   // of a work-group along x, y and z
};

// Write a sentence; returns 0, for failing functions to return.
int clipfree_say(char message[CLIPFREE_MESSAGE], const char *format, ...);

// Load the functions of a driver, and choose a device. 1, or 0 with a sentence.
int clipfree_load_driver(struct driver *cl, const char *file, char message[CLIPFREE_MESSAGE]);
int clipfree_find_device(const struct driver *cl, int32_t kind, struct device *device,
                         char message[CLIPFREE_MESSAGE]);

#endif
