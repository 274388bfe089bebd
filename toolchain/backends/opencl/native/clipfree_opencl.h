// What networks on OpenCL devices have beside clipfree.h, for C and C++. The library needs the device's OpenCL driver, which
// it looks for when it is opened: `options.driver`, else what the environment variable CLIPFREE_OPENCL names, else where it
// usually is. Where CLIPFREE_OPENCL_DEVICE is set, the device's name or its platform's must contain it. Threads, cores,
// pool and allocator of the options mean nothing here.
#ifndef CLIPFREE_OPENCL_H
#define CLIPFREE_OPENCL_H

#include "clipfree.h"

#ifdef __cplusplus
extern "C" {
#endif

// The device's name and its platform's, and what it lacks.
CLIPFREE_API const char *clipfree_device(const clipfree *network);

// How many kernels are launched for a picture, and the name of one; NULL if there is none of that number.
CLIPFREE_API int32_t clipfree_launches(void);
CLIPFREE_API const char *clipfree_kernel(int32_t launch);

// Upscale as clipfree_upscale does; `seconds`: for each launch the seconds that the device counted.
CLIPFREE_API int32_t clipfree_upscale_timed(clipfree *network, const clipfree_picture *source,
                                            const clipfree_picture *result, double *seconds);

#ifdef __cplusplus
}
#endif
#endif
