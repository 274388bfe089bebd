#include "convert.h"

#include "libc.h"
#include "pixels.h"
#include "rows.h"

/* -- in: the source's rows ------------------------------------------------------------------------------------------ */

/* Luma of a row of the source, and its chroma at each pixel, within the window. */
static const int16_t* read_yuv(Lane* lane, int64_t row, int64_t column, int64_t count) {
  const Conversion* const self = lane->conversion;
  resampler_row(&lane->chroma, row);
  channel_read(&self->from, &self->source, 0, row, column, count, lane->samples);
  return lane->chroma.made + (column - self->window.left);
}

/* RGB of the source's bits, in planes, if it has luma and chroma. */
static void read_wide(Lane* lane, int64_t row, int64_t column, int64_t count) {
  const int16_t* const blue = read_yuv(lane, row, column, count);
  const Conversion* const self = lane->conversion;
  colours_of_yuv(&self->to_rgb, lane->samples, blue, blue + lane->chroma.filter->columns, count, lane->wide, self->stride);
}

enum { kOnce = 256 }; /* pixels between planes and packed ones */

static int64_t part_of(int64_t count, int64_t begin) { return count - begin < kOnce ? count - begin : kOnce; }

static void narrow(const int16_t* restrict samples, int64_t count, uint8_t* restrict bytes) {
  for (int64_t x = 0; x < count; ++x) bytes[x] = (uint8_t)samples[x];
}

/* The upper 8 bits of planes, packed. */
static void pack(const int16_t* planes, int64_t stride, int32_t bits, int64_t count, uint8_t* rgb) {
  uint8_t parts[3][kOnce];
  for (int64_t begin = 0; begin < count; begin += kOnce) {
    const int64_t part = part_of(count, begin);
    for (int32_t plane = 0; plane < 3; ++plane) {
      const int16_t* const from = planes + plane * stride + begin;
      if (bits == 8) narrow(from, part, parts[plane]);
      else for (int64_t x = 0; x < part; ++x) parts[plane][x] = (uint8_t)upper(from[x], bits);
    }
    pixels_join(parts[0], parts[1], parts[2], part, rgb + 3 * begin);
  }
}

/* RGB of 8 bits, whatever the source has. */
static void read_colours(Lane* lane, int64_t row, int64_t column, int64_t count, uint8_t* rgb) {
  const Conversion* const self = lane->conversion;
  if (self->from.family != kLuma) {
    colours_read(&self->from, &self->source, row, column, count, rgb);
  } else {
    read_wide(lane, row, column, count);
    pack(lane->wide, self->stride, self->from.bits, count, rgb);
  }
}

/* What a row of a plane has of what is asked for. */
static int64_t there(uint32_t side, int32_t base, int32_t span) { return (int64_t)side - base < span ? (int64_t)side - base : span; }

static void fill_chroma(void* context, int64_t row, int32_t base, int32_t span, int16_t* planes) {
  const Conversion* const self = ((Lane*)context)->conversion;
  const int64_t count = there(format_side(&self->from, 1, self->source.width), base, span);
  for (int32_t plane = 0; plane < 2; ++plane)
    channel_read(&self->from, &self->source, 1 + plane, row, base, count, planes + (int64_t)plane * span);
}

static void fill_others(void* context, int64_t row, int32_t base, int32_t span, int16_t* planes) {
  Lane* const lane = context;
  const Conversion* const self = lane->conversion;
  const int64_t count = there(self->source.width, base, span);
  if (self->chroma) {
    read_colours(lane, row, base, count, lane->pixels);
    for (int32_t channel = 1; channel < 3; ++channel, planes += span)
      jpeg_of_rgb(self->jpeg, channel, lane->pixels, count, planes);
  }
  if (self->alpha) channel_read(&self->from, &self->source, 3, row, base, count, planes);
}

static void fill_rest(void* context, int64_t row, int32_t base, int32_t span, int16_t* planes) {
  Lane* const lane = context;
  const Conversion* const self = lane->conversion;
  const int64_t count = there(self->source.width, base, span);
  const int32_t bits = self->from.bits, low = bits - 8;
  const int16_t* from = lane->wide;
  if (self->rest == 3) read_wide(lane, row, base, count);
  else channel_read(&self->from, &self->source, 0, row, base, count, lane->wide);
  for (int32_t plane = 0; plane < self->rest; ++plane, planes += span, from += self->stride)
    for (int64_t x = 0; x < count; ++x) planes[x] = (int16_t)(from[x] - upper(from[x], bits) * (1 << low));
}

/* The luma of a row, as the network gets it. */
static void read_luma(Lane* lane, int64_t row, uint8_t* luma) {
  const Conversion* const self = lane->conversion;
  const int64_t left = self->window.left, count = self->window.width;
  if (self->from.family == kGrey || (self->way == kPlanes && self->from.bytes == 1)) {
    memcpy(luma, format_sample(&self->from, &self->source, 0, row, left), (size_t)count);
    return;
  }
  if (self->way == kPlanes) {
    channel_read(&self->from, &self->source, 0, row, left, count, lane->samples);
    for (int64_t x = 0; x < count; ++x)
      luma[x] = (uint8_t)upper(lane->samples[x], self->from.bits);
    return;
  }
  read_colours(lane, row, left, count, lane->pixels);
  jpeg_of_rgb(self->jpeg, 0, lane->pixels, count, lane->samples);
  for (int64_t x = 0; x < count; ++x) luma[x] = (uint8_t)lane->samples[x];
}

static void begin(Lane* lane) {
  resampler_begin(&lane->chroma, fill_chroma, lane);
  resampler_begin(&lane->others, lane->conversion->way == kPlanes ? fill_chroma : fill_others, lane);
  resampler_begin(&lane->rest, fill_rest, lane);
  lane->others_row = -1;
  for (int k = 0; k < 4; ++k) lane->held[k] = lane->planes_held[k] = -1;
}

void conversion_read(const Conversion* self, uint32_t number, uint32_t first, uint32_t end, uint8_t* pixels) {
  Lane* const lane = &self->lanes[number];
  const int64_t channels = self->geometry.channels, own = self->window.width * channels, row = self->width * channels;
  begin(lane);
  for (uint32_t y = first; y < end; ++y) {
    uint8_t* const to = pixels + y * row;
    const int64_t from = self->window.top + (int64_t)(y < self->window.height ? y : self->window.height - 1);
    if (channels == 3) read_colours(lane, from, self->window.left, self->window.width, to);
    else read_luma(lane, from, to);
    for (int64_t x = own; x < row; ++x) to[x] = to[x - channels];
  }
}

/* -- out: the result's rows ----------------------------------------------------------------------------------------- */

/* What the network has made, and how many pixels a row of it has. */
typedef struct { const uint8_t* pixels; int64_t width; } Made;

static const uint8_t* made_at(const Conversion* self, Made made, int64_t row, int64_t column) {
  const int64_t down = row - (int64_t)geometry_scaled(&self->geometry, self->window.top);
  const int64_t across = column - (int64_t)geometry_scaled(&self->geometry, self->window.left);
  return made.pixels + (down * made.width + across) * self->geometry.channels;
}

static void others_at(Lane* lane, int64_t row) {
  if (lane->others_row != row) resampler_row(&lane->others, row);
  lane->others_row = row;
}

/* RGB of a row of the result, from `cover_left` on. */
static const uint8_t* colours_at(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const uint8_t* const from = made_at(self, made, row, self->cover_left);
  uint8_t* const to = lane->rows[row % 4];
  if (self->geometry.channels == 3) return from;
  if (lane->held[row % 4] == row) return to;
  lane->held[row % 4] = row;
  if (self->chroma) {
    others_at(lane, row);
    rgb_of_jpeg(self->jpeg, from, lane->others.made, lane->others.made + self->cover, self->cover, to);
  } else {
    pixels_join(from, from, from, self->cover, to);
  }
  return to;
}

/* What the network has made, with what 8 bits leave. */
static void add(const uint8_t* restrict from, const int16_t* restrict rest, int32_t bits, int64_t count,
                int16_t* restrict to) {
  const int16_t most = (int16_t)((1 << bits) - 1), one = (int16_t)(1 << (bits - 8));
  for (int64_t x = 0; x < count; ++x) {
    const int16_t sum = (int16_t)(from[x] * one + rest[x]), above = sum > 0 ? sum : 0;
    to[x] = above < most ? above : most;
  }
}

/* The same row in planes, or luma alone: of what the network has made of 8 bits, with what was left over. */
static const void* planes_at(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const int alone = self->way == kPlanes;
  const uint8_t* const from = alone ? made_at(self, made, row, self->cover_left) : colours_at(lane, made, row);
  int16_t* const to = lane->planes[row % 4];
  uint8_t *const bytes = (uint8_t*)to, parts[3][kOnce];
  if (lane->planes_held[row % 4] == row) return to;
  lane->planes_held[row % 4] = row;
  if (!self->rest) {
    pixels_split(from, self->cover, bytes, bytes + self->stride, bytes + 2 * self->stride);
    return to;
  }
  resampler_row(&lane->rest, row);
  for (int64_t begin = 0; begin < self->cover; begin += kOnce) {
    const int64_t part = part_of(self->cover, begin);
    if (!alone) pixels_split(from + 3 * begin, part, parts[0], parts[1], parts[2]);
    for (int32_t plane = 0; plane < self->rest; ++plane)
      add(alone ? from + begin : parts[plane], lane->rest.made + plane * self->cover + begin, self->to.bits, part,
          to + plane * self->stride + begin);
  }
  return to;
}

/* From some column on. */
static Planes planes_from(const Conversion* self, const void* row, int64_t column) {
  const int32_t wide = self->rest > 0;
  return (Planes){(const uint8_t*)row + (column << wide), self->stride, wide};
}

static int64_t within(int64_t place, int64_t side) { return place < 0 ? 0 : place < side ? place : side - 1; }

/* Sums of a plane's rows around an even one: of each pair, or of four halves around its first. */
#define SUM_ROWS(type)                                                                                       \
  do {                                                                                                       \
    const type *const a = plane_of(rows[0], plane), *const b = plane_of(rows[1], plane), *const c = plane_of(rows[2], plane); \
    if (down) for (int64_t x = 0; x < count; ++x) sums[x] = (int16_t)(a[x] + 2 * b[x] + c[x]);                \
    else for (int64_t x = 0; x < count; ++x) sums[x] = (int16_t)(b[x] + c[x]);                                \
  } while (0)

static void sum_rows(const Planes rows[3], int32_t plane, int down, int64_t count, int16_t* restrict sums) {
  if (rows[1].wide) SUM_ROWS(int16_t);
  else SUM_ROWS(uint8_t);
}

/* Chroma of the pixels around an even row, and each even column of it. */
static void write_chroma(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const clipfree_picture* const result = &self->result;
  const int64_t height = (int64_t)geometry_scaled(&self->geometry, self->source.height);
  const int down = result->site == CLIPFREE_TOP_LEFT, across = result->site != CLIPFREE_CENTRE; /* halves */
  const int64_t ahead = self->left - self->cover_left, count = format_side(&self->to, 1, result->width);
  const int64_t around[3] = {within(row - down, height), row, within(row + 1, height)};
  Planes rows[3];
  for (int k = 0; k < 3; ++k) rows[k] = planes_from(self, planes_at(lane, made, around[k]), 0);
  int16_t* const even = lane->sums + 2; /* where the first even column is */
  for (int32_t plane = 0; plane < 3; ++plane) {
    int16_t* const sums = even + plane * self->stride - ahead;
    sum_rows(rows, plane, down, self->cover, sums);
    sums[self->cover] = sums[self->cover - 1]; /* beyond the edges, if that is where they end */
    if (!ahead) sums[-1] = sums[0];
  }
  chroma_of_sums(&self->to_yuv, down, across, even, self->stride, count, lane->samples, lane->more);
  chroma_write(&self->to, result, (row - self->top) / 2, count, lane->samples, lane->more);
}

/* A row of luma that the network has made, and of chroma that it has not. */
static void write_planes(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const clipfree_picture* const result = &self->result;
  const int64_t y = row - self->top, count = result->width;
  if (self->rest)
    channel_write(&self->to, result, 0, y, count, (const int16_t*)planes_at(lane, made, row) + (self->left - self->cover_left));
  else
    memcpy(format_sample(&self->to, result, 0, y, 0), made_at(self, made, row, self->left), (size_t)count);
  if (y % 2) return;
  others_at(lane, row / 2);
  chroma_write(&self->to, result, y / 2, format_side(&self->to, 1, result->width), lane->others.made,
               lane->others.made + lane->others.filter->columns);
}

static void write_grey(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const int64_t y = row - self->top, count = self->result.width;
  if (self->geometry.channels == 3) {
    grey_of_planes(planes_from(self, planes_at(lane, made, row), 0), count, lane->samples);
    channel_write(&self->to, &self->result, 0, y, count, lane->samples);
  } else {
    memcpy(format_sample(&self->to, &self->result, 0, y, 0), made_at(self, made, row, self->left), (size_t)count);
  }
}

static void write_colours(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const uint8_t* const rgb = colours_at(lane, made, row);
  uint8_t* const alpha = self->alpha ? (uint8_t*)lane->sums : NULL;
  if (alpha) {
    others_at(lane, row);
    narrow(lane->others.made + (self->chroma ? 2 * self->cover : 0), self->cover, alpha);
  }
  colours_write(&self->to, &self->result, row - self->top, self->result.width, rgb, alpha);
}

/* Luma and chroma of RGB. */
static void write_yuv(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const int64_t y = row - self->top, count = self->result.width, ahead = self->left - self->cover_left;
  luma_of_planes(&self->to_yuv, planes_from(self, planes_at(lane, made, row), ahead), count, lane->samples);
  channel_write(&self->to, &self->result, 0, y, count, lane->samples);
  if (y % 2 == 0) write_chroma(lane, made, row);
}

void conversion_write(const Conversion* self, uint32_t number, uint32_t first, uint32_t end, const uint8_t* pixels,
                      int64_t width) {
  Lane* const lane = &self->lanes[number];
  const Made made = {pixels, width};
  begin(lane);
  for (uint32_t y = first; y < end; ++y) {
    const int64_t row = self->top + y;
    if (self->to.family == kGrey) write_grey(lane, made, row);
    else if (self->way == kPlanes) write_planes(lane, made, row);
    else if (self->to.family == kLuma) write_yuv(lane, made, row);
    else write_colours(lane, made, row);
  }
}

Part conversion_part(const Conversion* self, uint32_t lane, uint32_t rows) {
  const uint64_t pairs = rows / 2 + rows % 2;
  const uint32_t first = (uint32_t)(pairs * lane / self->lane_count * 2);
  const uint32_t end = (uint32_t)(pairs * (lane + 1) / self->lane_count * 2);
  return (Part){first < rows ? first : rows, end < rows ? end : rows};
}
