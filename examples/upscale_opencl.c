// Upscale a picture on an OpenCL device: `upscale_opencl INPUT.ppm OUTPUT.ppm`, with a bundle that was deployed for
// one, such as mali-g78, and has 3 channels. It needs nothing but the bundle's model.so and the device's driver:
//   cc -std=c99 -O2 upscale_opencl.c -I BUNDLE/opencl/host BUNDLE/model.so -ldl -Wl,-rpath,'$ORIGIN' -o upscale_opencl
// For a phone: aarch64-linux-android29-clang of the NDK in place of cc; push both files beside each other and run it.
#include <stdio.h>
#include <stdlib.h>

#include "clipfree_opencl.h"

static void fail(const char *what, const char *why) {
  fprintf(stderr, "upscale_opencl: %s%s\n", what, why);
  exit(1);
}

int main(int count, char **words) {
  if (count != 3) fail("usage: upscale_opencl INPUT.ppm OUTPUT.ppm", "");

  FILE *input = fopen(words[1], "rb");
  int width = 0, height = 0, largest = 0;
  if (!input || fscanf(input, "P6 %d %d %d", &width, &height, &largest) != 3 || largest != 255 || width < 1 || height < 1)
    fail(words[1], " is no 8-bit P6 file");
  fgetc(input);
  const int scale = clipfree_scale();
  const size_t size = (size_t)width * height * 3;
  unsigned char *pixels = malloc(size), *large = malloc(size * scale * scale);
  if (clipfree_channels() != 3) fail("the network is not for RGB", "");
  if (!pixels || !large) fail("there is no memory left", "");
  if (fread(pixels, 1, size, input) != size) fail(words[1], " ends early");
  fclose(input);

  char message[CLIPFREE_MESSAGE];
  struct clipfree *network = clipfree_open(NULL, CLIPFREE_ANY, message);
  if (!network) fail(message, "");
  if (!clipfree_run(network, pixels, height, width, large, NULL, message)) fail(message, "");
  printf("%d x %d to %d x %d on %s\n", width, height, width * scale, height * scale, clipfree_device(network));
  clipfree_close(network);

  FILE *output = fopen(words[2], "wb");
  if (!output || fprintf(output, "P6\n%d %d\n255\n", width * scale, height * scale) < 0 ||
      fwrite(large, 1, size * scale * scale, output) != size * scale * scale || fclose(output))
    fail("cannot write ", words[2]);
  free(pixels);
  free(large);
  return 0;
}
