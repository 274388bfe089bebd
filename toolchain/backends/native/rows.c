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

void colours_read(const Format* format, const clipfree_picture* picture, int64_t row, int64_t column, int64_t count,
                  uint8_t* restrict rgb) {
  const uint8_t* restrict red = format_sample(format, picture, 0, row, column);
  if (format->family == kGrey) {
    for (int64_t x = 0; x < count; ++x) rgb[3 * x] = rgb[3 * x + 1] = rgb[3 * x + 2] = red[x];
    return;
  }
  if (picture->format == CLIPFREE_RGB) {
    memcpy(rgb, red, 3 * (size_t)count);
    return;
  }
  const uint8_t* restrict green = format_sample(format, picture, 1, row, column);
  const uint8_t* restrict blue = format_sample(format, picture, 2, row, column);
  STEPS(format->samples[0], for (int64_t x = 0; x < count; ++x) {
    rgb[3 * x] = red[x * kStep];
    rgb[3 * x + 1] = green[x * kStep];
    rgb[3 * x + 2] = blue[x * kStep];
  })
}

void colours_write(const Format* format, const clipfree_picture* picture, int64_t row, int64_t count,
                   const uint8_t* restrict rgb, const int16_t* alpha) {
  uint8_t* restrict red = format_sample(format, picture, 0, row, 0);
  if (picture->format == CLIPFREE_RGB) {
    memcpy(red, rgb, 3 * (size_t)count);
    return;
  }
  uint8_t* restrict green = format_sample(format, picture, 1, row, 0);
  uint8_t* restrict blue = format_sample(format, picture, 2, row, 0);
  STEPS(format->samples[0], for (int64_t x = 0; x < count; ++x) {
    red[x * kStep] = rgb[3 * x];
    green[x * kStep] = rgb[3 * x + 1];
    blue[x * kStep] = rgb[3 * x + 2];
  })
  if (!format->alpha) return;
  if (alpha) {
    channel_write(format, picture, 3, row, count, alpha);
    return;
  }
  uint8_t* const opaque = format_sample(format, picture, 3, row, 0);
  for (int64_t x = 0; x < count; ++x) opaque[4 * x] = 255;
}
