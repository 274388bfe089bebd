#include "rows.h"

#include "libc.h"

/* A loop over `count` pixels of which `step` is a number that the compiler knows. */
#define STEPS(step, loop)                  \
  switch (step) {                          \
    case 1: { enum { kStep = 1 }; loop } break; \
    case 2: { enum { kStep = 2 }; loop } break; \
    case 3: { enum { kStep = 3 }; loop } break; \
    default: { enum { kStep = 4 }; loop } break; \
  }

void channel_read(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t column,
                  int64_t count, int16_t* restrict samples) {
  const uint8_t* restrict const from = format_sample(format, picture, channel, row, column);
  const int32_t step = format->samples[format->channels[channel].plane];
  if (format->bytes == 1) {
    STEPS(step, for (int64_t x = 0; x < count; ++x) samples[x] = from[x * kStep];)
    return;
  }
  const uint16_t* restrict const words = (const uint16_t*)(const void*)from;
  const int32_t low = format->low, most = (1 << format->bits) - 1;
  STEPS(step, for (int64_t x = 0; x < count; ++x) samples[x] = (int16_t)(words[x * kStep] >> low & most);)
}

void channel_write(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t count,
                   const int16_t* restrict samples) {
  uint8_t* restrict const to = format_sample(format, picture, channel, row, 0);
  const int32_t step = format->samples[format->channels[channel].plane];
  if (format->bytes == 1) {
    STEPS(step, for (int64_t x = 0; x < count; ++x) to[x * kStep] = (uint8_t)samples[x];)
    return;
  }
  uint16_t* restrict const words = (uint16_t*)(void*)to;
  const int32_t low = format->low;
  STEPS(step, for (int64_t x = 0; x < count; ++x) words[x * kStep] = (uint16_t)(samples[x] << low);)
}

/* Loops over the colours of `count` pixels, between packed RGB and pixels of `of` bytes that have red and blue in the places
 * `first` and `last`. */
#define FROM_PACKED(of, first, last, alpha)   \
  for (int64_t x = 0; x < count; ++x) {       \
    to[of * x + first] = rgb[3 * x];          \
    to[of * x + 1] = rgb[3 * x + 1];          \
    to[of * x + last] = rgb[3 * x + 2];       \
    alpha;                                    \
  }
#define TO_PACKED(of, first, last)            \
  for (int64_t x = 0; x < count; ++x) {       \
    rgb[3 * x] = from[of * x + first];        \
    rgb[3 * x + 1] = from[of * x + 1];        \
    rgb[3 * x + 2] = from[of * x + last];     \
  }

void colours_read(const Format* format, const clipfree_picture* picture, int64_t row, int64_t column, int64_t count,
                  uint8_t* restrict rgb) {
  const int32_t first = format->family == kColour && format->channels[0].sample ? 2 : 0; /* channel of a pixel's first byte */
  const uint8_t* restrict const from = format_sample(format, picture, first, row, column);
  switch (picture->format) {
    case CLIPFREE_RGB: memcpy(rgb, from, 3 * (size_t)count); break;
    case CLIPFREE_BGR: TO_PACKED(3, 2, 0) break;
    case CLIPFREE_RGBA: TO_PACKED(4, 0, 2) break;
    case CLIPFREE_BGRA: TO_PACKED(4, 2, 0) break;
    case CLIPFREE_PLANAR: {
      const uint8_t* restrict const green = format_sample(format, picture, 1, row, column);
      const uint8_t* restrict const blue = format_sample(format, picture, 2, row, column);
      for (int64_t x = 0; x < count; ++x) rgb[3 * x] = from[x], rgb[3 * x + 1] = green[x], rgb[3 * x + 2] = blue[x];
      break;
    }
    default: for (int64_t x = 0; x < count; ++x) rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = from[x]; /* grey */
  }
}

void colours_write(const Format* format, const clipfree_picture* picture, int64_t row, int64_t count,
                   const uint8_t* restrict rgb, const int16_t* restrict alpha) {
  uint8_t* restrict const to = format_sample(format, picture, format->channels[0].sample ? 2 : 0, row, 0);
  switch (picture->format) {
    case CLIPFREE_RGB: memcpy(to, rgb, 3 * (size_t)count); break;
    case CLIPFREE_BGR: FROM_PACKED(3, 2, 0, (void)0) break;
    case CLIPFREE_RGBA:
      if (alpha) FROM_PACKED(4, 0, 2, to[4 * x + 3] = (uint8_t)alpha[x])
      else FROM_PACKED(4, 0, 2, to[4 * x + 3] = 255)
      break;
    case CLIPFREE_BGRA:
      if (alpha) FROM_PACKED(4, 2, 0, to[4 * x + 3] = (uint8_t)alpha[x])
      else FROM_PACKED(4, 2, 0, to[4 * x + 3] = 255)
      break;
    default: {
      uint8_t* restrict const green = format_sample(format, picture, 1, row, 0);
      uint8_t* restrict const blue = format_sample(format, picture, 2, row, 0);
      for (int64_t x = 0; x < count; ++x) to[x] = rgb[3 * x], green[x] = rgb[3 * x + 1], blue[x] = rgb[3 * x + 2];
    }
  }
}
