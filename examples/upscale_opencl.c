// Upscale a picture on an OpenCL device: `upscale_opencl INPUT.ppm OUTPUT.ppm`, with a bundle that was deployed for
// one, such as mali-g78, and has 3 channels. It needs nothing but the bundle's model.so and the device's driver:
//   cc -std=c99 -O2 upscale_opencl.c -I BUNDLE/opencl/host BUNDLE/model.so -ldl -Wl,-rpath,'$ORIGIN' -o upscale_opencl
// For a phone: aarch64-linux-android29-clang of the NDK in place of cc; push both files beside each other and run it.
// It is upscale.c, which runs networks on processors and devices alike, and says which device it was.
#include <stdio.h>

#include "clipfree_opencl.h"

#define ABOUT(network) printf("on %s\n", clipfree_device(network))
#include "upscale.c"
