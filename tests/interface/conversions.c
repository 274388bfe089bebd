/* Conversions of noise between all formats, without a network: one number for all that they make. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert.h"

static unsigned state = 1;

static unsigned char noise(void) {
  state = state * 1103515245u + 12345u;
  return (unsigned char)(state >> 16);
}

static unsigned char *noisy(size_t bytes) {
  unsigned char *const made = malloc(bytes);
  for (size_t i = 0; i < bytes; ++i) made[i] = noise();
  return made;
}

static uint64_t mixed(uint64_t sum, const unsigned char *bytes, size_t count) {
  for (size_t i = 0; i < count; ++i) sum = (sum ^ bytes[i]) * 1099511628211u;
  return sum;
}

static size_t size_of(const clipfree_picture *picture, int32_t plane) {
  const Format format = format_of(picture->format);
  return (size_t)picture->strides[plane] * format_side(&format, plane, picture->height);
}

static clipfree_picture noisy_picture(int32_t format, uint32_t height, uint32_t width, int seed) {
  const Format own = format_of(format);
  clipfree_picture made = {.size = sizeof made, .format = format, .height = height, .width = width,
                           .matrix = 1 + seed % 3, .range = 1 + seed % 2, .site = 1 + seed / 2 % 3};
  for (int32_t plane = 0; plane < own.planes; ++plane) {
    made.strides[plane] = (ptrdiff_t)format_side(&own, plane, width) * own.samples[plane] * own.bytes;
    made.planes[plane] = noisy(size_of(&made, plane));
  }
  return made;
}

static uint64_t convert(uint64_t sum, int32_t channels, uint32_t scale, const clipfree_picture pictures[2]) {
  const Geometry geometry = {channels, scale, 1, 1, 1, 1, 5};
  const uint32_t height = pictures[0].height, width = pictures[0].width;
  const clipfree_region all = {sizeof all, 0, 0, height, width};
  const size_t size = (size_t)height * width * (size_t)channels;
  unsigned char *const given = malloc(size), *const made = noisy(size * scale * scale);
  Conversion conversion;
  memset(&conversion, 0, sizeof conversion);
  const uint64_t bytes = conversion_plan(&conversion, &geometry, pictures, &all, 1);
  void *const memory = aligned_alloc(64, (bytes + 64) / 64 * 64);
  conversion_place(&conversion, memory);
  conversion_read(&conversion, 0, 0, height, given);
  conversion_write(&conversion, 0, 0, height * scale, made, width * scale);
  sum = mixed(sum, given, size);
  for (int32_t plane = 0; plane < conversion.to.planes; ++plane)
    sum = mixed(sum, pictures[1].planes[plane], size_of(&pictures[1], plane));
  free(given), free(made), free(memory);
  for (int which = 0; which < 2; ++which)
    for (int plane = 0; plane < 4; ++plane) free(pictures[which].planes[plane]);
  return sum;
}

int main(void) {
  static const uint32_t sizes[][2] = {{1, 1}, {2, 3}, {5, 17}, {4, 87}};
  uint64_t sum = 1469598103934665603u;
  for (int32_t channels = 1; channels <= 3; channels += 2)
    for (int size = 0; size < 4; ++size)
      for (uint32_t scale = 1; scale <= 3; scale += 2)
        for (int32_t from = CLIPFREE_GREY; from <= CLIPFREE_I010; ++from)
          for (int32_t to = CLIPFREE_GREY; to <= CLIPFREE_I010; ++to) {
            const uint32_t height = sizes[size][0], width = sizes[size][1];
            const int seed = from * 7 + to * 3 + size, other = seed % 2 ? seed : 2 * seed + 1; /* in the same terms, or not */
            const clipfree_picture pictures[2] = {noisy_picture(from, height, width, seed),
                                                  noisy_picture(to, height * scale, width * scale, other)};
            sum = convert(sum, channels, scale, pictures);
          }
  printf("%016llx\n", (unsigned long long)sum);
  return 0;
}
