/* A program that uses a library through clipfree.h: valid C99 and C++11. It upscales noise of HEIGHT x WIDTH in several
 * threads, each with a network of its own, and writes the result; then noise of several formats, of which it writes the
 * results too; and it calls everything wrongly. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clipfree.h"

enum { THREADS = 3, TIMES = 4 };

static const clipfree_functions *functions;
static clipfree *shared;
static clipfree_info info;
static unsigned height, width, large_height, large_width;
static unsigned char *noise;

static void demand(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static clipfree_picture picture(unsigned char *pixels, unsigned rows, unsigned columns) {
  clipfree_picture made;
  memset(&made, 0, sizeof made);
  made.size = sizeof made;
  made.format = info.channels == 3 ? CLIPFREE_RGB : CLIPFREE_GREY;
  made.height = rows;
  made.width = columns;
  made.planes[0] = pixels;
  made.strides[0] = (ptrdiff_t)columns * info.channels;
  return made;
}

static unsigned char *room(void) {
  unsigned char *const made = (unsigned char *)calloc((size_t)large_height * large_width, (size_t)info.channels);
  demand(made != NULL, "there is no memory");
  return made;
}

/* One network of its own, again and again; and one that all have. */
static void *work(void *result) {
  unsigned char *const beside = room();
  const clipfree_picture source = picture(noise, height, width);
  const clipfree_picture own = picture((unsigned char *)result, large_height, large_width);
  const clipfree_picture other = picture(beside, large_height, large_width);
  int i;
  for (i = 0; i < TIMES; ++i) {
    clipfree *network = NULL;
    char message[CLIPFREE_MESSAGE];
    clipfree_options options;
    int32_t status;
    memset(&options, 0, sizeof options);
    options.size = sizeof options;
    options.threads = (uint32_t)(1 + i % 3);
    demand(functions->open(&network, &options, message) == CLIPFREE_OK, message);
    demand(functions->upscale(network, &source, &own) == CLIPFREE_OK, "a network of its own fails");
    do status = functions->upscale(shared, &source, &other);
    while (status == CLIPFREE_BUSY);
    demand(status == CLIPFREE_OK, "a shared network fails");
    demand(!memcmp(result, beside, (size_t)large_height * large_width * (size_t)info.channels), "pixels differ");
    demand(functions->close(network) == CLIPFREE_OK, "a network cannot be closed");
  }
  free(beside);
  return NULL;
}

/* Planes of a format, one after the other in memory; returns their bytes. */
static size_t lay(clipfree_picture *made, int32_t format, unsigned rows, unsigned columns, unsigned char *memory) {
  const unsigned half_rows = (rows + 1) / 2, half = (columns + 1) / 2;
  const unsigned bytes = format == CLIPFREE_P010 || format == CLIPFREE_I010 ? 2 : 1;
  unsigned widths[3] = {0, 0, 0}, heights[3] = {0, 0, 0}, plane;
  size_t size = 0;
  heights[0] = rows;
  widths[0] = columns * bytes;
  if (format == CLIPFREE_RGBA || format == CLIPFREE_BGRA) widths[0] = 4 * columns;
  if (format == CLIPFREE_RGB || format == CLIPFREE_BGR) widths[0] = 3 * columns;
  if (format == CLIPFREE_NV12 || format == CLIPFREE_NV21 || format == CLIPFREE_P010)
    heights[1] = half_rows, widths[1] = 2 * half * bytes;
  if (format == CLIPFREE_I420 || format == CLIPFREE_I010)
    heights[1] = heights[2] = half_rows, widths[1] = widths[2] = half * bytes;
  if (format == CLIPFREE_PLANAR) heights[1] = heights[2] = rows, widths[1] = widths[2] = columns;
  memset(made, 0, sizeof *made);
  made->size = sizeof *made;
  made->format = format;
  made->height = rows;
  made->width = columns;
  made->matrix = CLIPFREE_BT709;
  for (plane = 0; plane < 3; ++plane) {
    made->planes[plane] = memory ? memory + size : NULL;
    made->strides[plane] = (ptrdiff_t)widths[plane];
    size += (size_t)widths[plane] * heights[plane];
  }
  return size;
}

/* Noise of every format into every other, whole and a region of it; the bytes of some are written. */
static void convert_all(FILE *output) {
  int32_t from, to;
  size_t i, size, large_size;
  for (from = CLIPFREE_GREY; from <= CLIPFREE_I010; ++from)
    for (to = CLIPFREE_GREY; to <= CLIPFREE_I010; ++to) {
      clipfree_picture source, result;
      clipfree_region region;
      unsigned char *given, *made;
      size = lay(&source, from, height, width, NULL);
      large_size = lay(&result, to, large_height, large_width, NULL);
      given = (unsigned char *)malloc(size);
      made = (unsigned char *)malloc(large_size);
      demand(given && made, "there is no memory");
      for (i = 0; i < size; ++i) given[i] = (unsigned char)(i * i >> 3);
      lay(&source, from, height, width, given);
      lay(&result, to, large_height, large_width, made);
      demand(functions->upscale(shared, &source, &result) == CLIPFREE_OK, functions->error(shared));
      if ((from + 2 * to) % 5 == 0) fwrite(made, large_size, 1, output);
      memset(&region, 0, sizeof region);
      region.size = sizeof region;
      region.top = region.left = 4;
      region.height = height - 5;
      region.width = width - 7;
      lay(&result, to, (height - 5) * large_height / height, (width - 7) * large_width / width, made);
      demand(functions->upscale_region(shared, &source, &region, &result) == CLIPFREE_OK, functions->error(shared));
      free(given);
      free(made);
    }
}

static void misuse(void) {
  clipfree_picture source = picture(noise, height, width), result = picture(noise, large_height, large_width);
  uint64_t bytes;
  uint32_t rows, columns;
  clipfree_options options;
  clipfree *network;
  demand(functions->upscale(NULL, &source, &result) == CLIPFREE_NULL, "no network");
  demand(functions->upscale(shared, NULL, &result) == CLIPFREE_NULL, "no source");
  demand(functions->upscale(shared, &source, &result) == CLIPFREE_OVERLAP, "overlap");
  demand(*functions->error(shared) != 0, "an error without a sentence");
  source.strides[0] = PTRDIFF_MIN;
  demand(functions->upscale(shared, &source, &result) == CLIPFREE_WRONG_STRIDE, "stride");
  source = picture(noise, 0, width);
  demand(functions->upscale(shared, &source, &result) == CLIPFREE_WRONG_SIZE, "empty");
  source = picture(noise, 0x80000000u, 0x80000000u);
  demand(functions->upscale(shared, &source, &result) == CLIPFREE_WRONG_SIZE, "huge");
  source.size = 3;
  demand(functions->upscale(shared, &source, &result) == CLIPFREE_WRONG_ABI, "a structure of 3 bytes");
  demand(functions->memory(shared, height, width, &bytes) == CLIPFREE_OK && bytes > 0, "memory");
  demand(functions->result_size(0, 0, &rows, &columns) == CLIPFREE_WRONG_SIZE, "result of nothing");
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.threads = 1000000;
  demand(functions->open(&network, &options, NULL) == CLIPFREE_WRONG_OPTION && !network, "a million threads");
}

int main(int count, char **words) {
  const clipfree_functions *(*get)(uint32_t);
  pthread_t threads[THREADS];
  unsigned char *results[THREADS];
  char message[CLIPFREE_MESSAGE];
  size_t i, size;
  void *symbol, *library;
  demand(count == 4, "usage: program LIBRARY HEIGHT WIDTH");
  library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL);
  demand(library != NULL, "the library cannot be loaded");
  symbol = dlsym(library, "clipfree_get_functions");
  memcpy(&get, &symbol, sizeof get);
  functions = get(CLIPFREE_ABI);
  height = (unsigned)atoi(words[2]), width = (unsigned)atoi(words[3]);
  info.size = sizeof info;
  demand(functions->describe(&info) == CLIPFREE_OK, "the library does not describe itself");
  demand(functions->result_size(height, width, &large_height, &large_width) == CLIPFREE_OK, "size");
  size = (size_t)height * width * (size_t)info.channels;
  noise = (unsigned char *)malloc(size);
  for (i = 0; i < size; ++i) noise[i] = (unsigned char)(i * i >> 3);
  demand(functions->open(&shared, NULL, message) == CLIPFREE_OK, message);
  for (i = 0; i < THREADS; ++i) {
    results[i] = room();
    demand(!pthread_create(&threads[i], NULL, work, results[i]), "no thread");
  }
  for (i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  misuse();
  fwrite(results[0], (size_t)large_height * large_width, (size_t)info.channels, stdout);
  convert_all(stdout);
  demand(functions->close(shared) == CLIPFREE_OK, "close");
  for (i = 0; i < THREADS; ++i) free(results[i]);
  free(noise);
  dlclose(library);
  return 0;
}
