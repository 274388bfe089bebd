// A network on an OpenCL device, for C and C++: the functions of a bundle's model.so.
//
// The library needs nothing but the device's OpenCL driver, which it looks for when it is opened, and the C library of
// the program that loads it. Functions that can fail return 0 or NULL then, and write a sentence into `message`.
// Different networks may be used by different threads at once; one network by one thread at a time.
#ifndef CLIPFREE_OPENCL_H
#define CLIPFREE_OPENCL_H

#ifdef __cplusplus
extern "C" {
#endif

#define CLIPFREE_MESSAGE 1024  // bytes of a message, its final zero included

enum clipfree_kind { CLIPFREE_ANY, CLIPFREE_GPU, CLIPFREE_CPU };  // ANY: a GPU if there is one

struct clipfree;

// Find the driver and a device, and build the kernels. `driver`: the file of the driver's library; NULL for the one
// that the environment variable CLIPFREE_OPENCL names, else for where it usually is. Where CLIPFREE_OPENCL_DEVICE is set,
// the device's name or its platform's must contain it.
struct clipfree *clipfree_open(const char *driver, enum clipfree_kind kind, char message[CLIPFREE_MESSAGE]);

// The device's name and its platform's, and what it lacks.
const char *clipfree_device(const struct clipfree *network);

// Of pictures: bytes of a pixel, and output pixels per input pixel and direction.
int clipfree_channels(void);
int clipfree_scale(void);

// How many kernels are launched for a picture, and the name of one.
int clipfree_launches(void);
const char *clipfree_kernel(int launch);

// Upscale u8 (height, width, channels) to u8 (height * scale, width * scale, channels). Buffers on the device are kept
// for the next picture of the same size. `seconds`: NULL, or for each launch the seconds that the device counted.
int clipfree_run(struct clipfree *network, const unsigned char *pixels, int height, int width, unsigned char *result,
                 double *seconds, char message[CLIPFREE_MESSAGE]);

void clipfree_close(struct clipfree *network);

#ifdef __cplusplus
}
#endif
#endif
