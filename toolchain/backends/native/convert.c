#include "convert.h"

#include "libc.h"
#include "rows.h"

/* -- in: the source's rows ------------------------------------------------------------------------------------------ */

/* Luma of a row of the source, and its chroma at each pixel, within the window. */
static const int16_t* read_yuv(Lane* lane, int64_t row, int64_t column, int64_t count) {
  const Conversion* const self = lane->conversion;
  resampler_row(&lane->chroma, row);
  channel_read(&self->from, &self->source, 0, row, column, count, lane->samples);
  return lane->chroma.made + (column - self->window.left);
}

/* RGB of the source's bits, if it has luma and chroma. */
static void read_wide(Lane* lane, int64_t row, int64_t column, int64_t count) {
  const int16_t* const blue = read_yuv(lane, row, column, count);
  wide_of_yuv(&lane->conversion->to_rgb, lane->samples, blue, blue + lane->chroma.filter->columns, count, lane->wide);
}

/* RGB of 8 bits, whatever the source has. */
static void read_colours(Lane* lane, int64_t row, int64_t column, int64_t count, uint8_t* rgb) {
  const Conversion* const self = lane->conversion;
  if (self->from.family != kLuma) {
    colours_read(&self->from, &self->source, row, column, count, rgb);
  } else if (self->from.bits > 8) {
    read_wide(lane, row, column, count);
    for (int64_t x = 0; x < 3 * count; ++x) rgb[x] = (uint8_t)upper(lane->wide[x], self->from.bits);
  } else {
    const int16_t* const blue = read_yuv(lane, row, column, count);
    rgb_of_yuv(&self->to_rgb, lane->samples, blue, blue + lane->chroma.filter->columns, count, rgb);
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
  const int32_t bits = self->from.bits, low = bits - 8, step = self->rest;
  const int16_t* from = lane->samples;
  if (step == 3) read_wide(lane, row, base, count), from = lane->wide;
  else channel_read(&self->from, &self->source, 0, row, base, count, lane->samples);
  for (int32_t plane = 0; plane < step; ++plane, planes += span)
    for (int64_t x = 0; x < count; ++x) {
      const int32_t value = from[x * step + plane];
      planes[x] = (int16_t)(value - upper(value, bits) * (1 << low));
    }
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
  for (int k = 0; k < 4; ++k) lane->held[k] = -1;
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
    for (int64_t x = 0; x < self->cover; ++x) to[3 * x] = to[3 * x + 1] = to[3 * x + 2] = from[x];
  }
  return to;
}

/* What the network has made of 8 bits with what was left over: of a row of the result, from `cover_left` on. */
static const int16_t* wide_at(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const uint8_t* const from = made_at(self, made, row, self->cover_left);
  int16_t* const to = lane->wide_rows[row % 4];
  const int32_t step = self->rest, most = (1 << self->to.bits) - 1, low = self->to.bits - 8;
  if (lane->held[row % 4] == row) return to;
  lane->held[row % 4] = row;
  resampler_row(&lane->rest, row);
  for (int32_t plane = 0; plane < step; ++plane) {
    const int16_t* const rest = lane->rest.made + plane * self->cover;
    for (int64_t x = 0; x < self->cover; ++x)
      to[x * step + plane] = (int16_t)cut_below(from[x * step + plane] * (1 << low) + rest[x], most);
  }
  return to;
}

static int64_t within(int64_t place, int64_t side) { return place < 0 ? 0 : place < side ? place : side - 1; }

/* Sums of the rows of RGB around an even one: of each pair, or of four halves around its first. */
#define SUM_ROWS(type, at)                                                                            \
  do {                                                                                                \
    const type* const after = at(lane, made, within(row + 1, height));                                \
    const type* const here = at(lane, made, row);                                                     \
    const type* const before = down ? at(lane, made, within(row - 1, height)) : here;                 \
    const int64_t count = 3 * self->cover;                                                            \
    if (down) for (int64_t x = 0; x < count; ++x) all[x] = (int16_t)(before[x] + 2 * here[x] + after[x]); \
    else for (int64_t x = 0; x < count; ++x) all[x] = (int16_t)(here[x] + after[x]);                  \
  } while (0)

/* Chroma of the pixels around an even row, and each even column of it. */
static void write_chroma(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const clipfree_picture *const source = &self->source, *const result = &self->result;
  const int64_t height = (int64_t)geometry_scaled(&self->geometry, source->height);
  const int64_t width = (int64_t)geometry_scaled(&self->geometry, source->width);
  const int down = result->site == CLIPFREE_TOP_LEFT, across = result->site != CLIPFREE_CENTRE; /* halves */
  int16_t *const all = lane->sums, *const sums = all + 3 * self->cover;
  const int64_t count = format_side(&self->to, 1, result->width);
  if (self->rest) SUM_ROWS(int16_t, wide_at);
  else SUM_ROWS(uint8_t, colours_at);
  for (int64_t x = 0; x < count; ++x) {
    const int64_t column = self->left + 2 * x, start = self->cover_left;
    const int16_t* const first = all + 3 * (column - start);
    const int16_t* const second = all + 3 * (within(column + 1, width) - start);
    const int16_t* const last = all + 3 * (within(column - 1, width) - start);
    for (int c = 0; c < 3; ++c)
      sums[3 * x + c] = (int16_t)(across ? last[c] + 2 * first[c] + second[c] : first[c] + second[c]);
  }
  for (int32_t channel = 1; channel < 3; ++channel) {
    channel_of_sums(&self->to_yuv, channel, 2 + down + across, sums, count, lane->samples);
    channel_write(&self->to, result, channel, (row - self->top) / 2, count, lane->samples);
  }
}

/* A row of luma that the network has made, and of chroma that it has not. */
static void write_planes(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const clipfree_picture* const result = &self->result;
  const int64_t y = row - self->top, count = result->width;
  if (self->rest)
    channel_write(&self->to, result, 0, y, count, wide_at(lane, made, row) + (self->left - self->cover_left));
  else
    memcpy(format_sample(&self->to, result, 0, y, 0), made_at(self, made, row, self->left), (size_t)count);
  if (y % 2) return;
  others_at(lane, row / 2);
  for (int32_t channel = 1; channel < 3; ++channel)
    channel_write(&self->to, result, channel, y / 2, format_side(&self->to, 1, result->width),
                  lane->others.made + (channel - 1) * lane->others.filter->columns);
}

static void write_grey(const Conversion* self, Made made, int64_t row) {
  const uint8_t* const from = made_at(self, made, row, self->left);
  uint8_t* const to = format_sample(&self->to, &self->result, 0, row - self->top, 0);
  if (self->geometry.channels == 3) grey_of_rgb(from, self->result.width, to);
  else memcpy(to, from, self->result.width);
}

static void write_colours(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const uint8_t* const rgb = colours_at(lane, made, row);
  if (self->alpha) others_at(lane, row);
  colours_write(&self->to, &self->result, row - self->top, self->result.width, rgb,
                self->alpha ? lane->others.made + (self->chroma ? 2 * self->cover : 0) : NULL);
}

/* Luma and chroma of RGB. */
static void write_yuv(Lane* lane, Made made, int64_t row) {
  const Conversion* const self = lane->conversion;
  const int64_t y = row - self->top, count = self->result.width, ahead = 3 * (self->left - self->cover_left);
  if (self->rest) channel_of_sums(&self->to_yuv, 0, 0, wide_at(lane, made, row) + ahead, count, lane->samples);
  else channel_of_rgb(&self->to_yuv, 0, colours_at(lane, made, row) + ahead, count, lane->samples);
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
    if (self->to.family == kGrey) write_grey(self, made, row);
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
