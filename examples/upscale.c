/* Upscale a picture: `upscale INPUT.ppm OUTPUT.ppm`, with any bundle for a CPU whose network takes 3 channels. It needs
 * nothing but the bundle's model.so:
 *   cc -std=c99 -O2 upscale.c -I BUNDLE BUNDLE/model.so -Wl,-rpath,'$ORIGIN' -o upscale && cp BUNDLE/model.so .
 * For another processor take its compiler: aarch64-linux-gnu-gcc, or aarch64-linux-android29-clang of Android's NDK. */
#include <stdio.h>
#include <stdlib.h>

#include "clipfree.h"

#ifndef ABOUT /* what is said of a network that has run */
#define ABOUT(network) ((void)0)
#endif

static void fail(const char *what, const char *why) {
  fprintf(stderr, "upscale: %s%s\n", what, why);
  exit(1);
}

int main(int count, char **words) {
  if (count != 3) fail("usage: upscale INPUT.ppm OUTPUT.ppm", "");
  clipfree_info info = {.size = sizeof info};
  if (clipfree_describe(&info) || info.channels != 3) fail("the network is not for RGB", "");

  FILE *input = fopen(words[1], "rb");
  unsigned width, height, largest;
  if (!input || fscanf(input, "P6 %u %u %u", &width, &height, &largest) != 3 || largest != 255)
    fail(words[1], " is no 8-bit P6 file");
  fgetc(input);
  uint32_t large_width, large_height;
  const int32_t wrong = clipfree_result_size(height, width, &large_height, &large_width);
  if (wrong) fail(clipfree_message(wrong), "");
  const size_t size = (size_t)height * width * 3, large_size = (size_t)large_height * large_width * 3;
  unsigned char *pixels = malloc(size), *large = malloc(large_size);
  if (!pixels || !large) fail("there is no memory left", "");
  if (fread(pixels, 1, size, input) != size) fail(words[1], " ends early");
  fclose(input);

  clipfree *network;
  char message[CLIPFREE_MESSAGE];
  if (clipfree_open(&network, NULL, message)) fail(message, "");
  const clipfree_picture source = {.size = sizeof source, .format = CLIPFREE_RGB, .height = height, .width = width,
                                   .planes = {pixels}, .strides = {3 * (ptrdiff_t)width}};
  const clipfree_picture result = {.size = sizeof result, .format = CLIPFREE_RGB, .height = large_height,
                                   .width = large_width, .planes = {large}, .strides = {3 * (ptrdiff_t)large_width}};
  if (clipfree_upscale(network, &source, &result)) fail(clipfree_error(network), "");
  ABOUT(network);
  clipfree_close(network);

  FILE *output = fopen(words[2], "wb");
  if (!output || fprintf(output, "P6\n%u %u\n255\n", (unsigned)large_width, (unsigned)large_height) < 0 ||
      fwrite(large, 1, large_size, output) != large_size || fclose(output))
    fail(words[2], " cannot be written");
  free(pixels);
  free(large);
  return 0;
}
