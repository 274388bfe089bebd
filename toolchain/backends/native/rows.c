#include "rows.h"

#include "libc.h"
#include "pixels.h"

/* Samples side by side are taken and written as one number, of which each has its bits. */
typedef uint16_t Two __attribute__((aligned(1), may_alias));
typedef uint32_t Four __attribute__((aligned(1), may_alias));

void channel_read(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t column,
                  int64_t count, int16_t* restrict samples) {
  const Place place = format->channels[channel];
  const void* const from = format_sample(format, picture, channel, row, column) - place.sample * format->bytes;
  const int32_t shift = 8 * format->bytes * place.sample + format->low, most = (1 << format->bits) - 1;
  switch (format->samples[place.plane] * format->bytes) {
    case 1: for (int64_t x = 0; x < count; ++x) samples[x] = ((const uint8_t*)from)[x]; break;
    case 2: for (int64_t x = 0; x < count; ++x) samples[x] = (int16_t)(((const Two*)from)[x] >> shift & most); break;
    default: for (int64_t x = 0; x < count; ++x) samples[x] = (int16_t)(((const Four*)from)[x] >> shift & (uint32_t)most);
  }
}

void channel_write(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t count,
                   const int16_t* restrict samples) {
  uint8_t* restrict const to = format_sample(format, picture, channel, row, 0);
  Two* restrict const words = (Two*)to;
  const int32_t low = format->low;
  if (format->bytes == 1) for (int64_t x = 0; x < count; ++x) to[x] = (uint8_t)samples[x];
  else for (int64_t x = 0; x < count; ++x) words[x] = (uint16_t)(samples[x] << low);
}

void chroma_write(const Format* format, const clipfree_picture* picture, int64_t row, int64_t count,
                  const int16_t* restrict blue, const int16_t* restrict red) {
  if (format->channels[1].plane != format->channels[2].plane) {
    channel_write(format, picture, 1, row, count, blue);
    channel_write(format, picture, 2, row, count, red);
    return;
  }
  const int32_t first = format->channels[1].sample ? 2 : 1, low = format->low;
  Two* restrict const twos = (Two*)format_sample(format, picture, first, row, 0);
  Four* restrict const fours = (Four*)twos;
  const int16_t *restrict const one = first == 1 ? blue : red, *restrict const other = first == 1 ? red : blue;
  if (format->bytes == 1) for (int64_t x = 0; x < count; ++x) twos[x] = (uint16_t)(one[x] | other[x] << 8);
  else for (int64_t x = 0; x < count; ++x) fours[x] = ((uint32_t)one[x] | (uint32_t)other[x] << 16) << low;
}

void colours_read(const Format* format, const clipfree_picture* picture, int64_t row, int64_t column, int64_t count,
                  uint8_t* rgb) {
  const int32_t swapped = format->family == kColour && format->channels[0].sample;
  const uint8_t* const from = format_sample(format, picture, swapped ? 2 : 0, row, column);
  switch (picture->format) {
    case CLIPFREE_RGB: memcpy(rgb, from, 3 * (size_t)count); break;
    case CLIPFREE_BGR: pixels_swap(from, count, rgb); break;
    case CLIPFREE_RGBA: case CLIPFREE_BGRA: pixels_narrow(from, swapped, count, rgb); break;
    case CLIPFREE_PLANAR:
      pixels_join(from, format_sample(format, picture, 1, row, column), format_sample(format, picture, 2, row, column),
                  count, rgb);
      break;
    default: pixels_join(from, from, from, count, rgb); /* grey */
  }
}

void colours_write(const Format* format, const clipfree_picture* picture, int64_t row, int64_t count, const uint8_t* rgb,
                   const uint8_t* alpha) {
  const int32_t swapped = format->channels[0].sample;
  uint8_t* const to = format_sample(format, picture, swapped ? 2 : 0, row, 0);
  switch (picture->format) {
    case CLIPFREE_RGB: memcpy(to, rgb, 3 * (size_t)count); break;
    case CLIPFREE_BGR: pixels_swap(rgb, count, to); break;
    case CLIPFREE_RGBA: case CLIPFREE_BGRA: pixels_widen(rgb, swapped, alpha, count, to); break;
    default:
      pixels_split(rgb, count, to, format_sample(format, picture, 1, row, 0), format_sample(format, picture, 2, row, 0));
  }
}
