#include "convert.h"
#include "libc.h"

enum { kChroma, kOthers, kRest }; /* filters */

/* -- what the network gets ------------------------------------------------------------------------------------------- */

/* Pixels of a side. */
typedef struct { uint32_t begin, end; } Reach;

enum { kMargin = 4, kAligned = 4 }; /* what bicubic looks at; and as `toolchain.runtime.tiles` has it */

static uint32_t multiple(uint32_t unit) {
  for (uint32_t found = unit;; found += unit)
    if (found % kAligned == 0) return found;
}

/* What the network must get of a side to make the `wanted` pixels of its result: with its halo, at multiples where it works
 * in steps, and no less than it takes. */
static Reach reach(const Geometry* geometry, uint32_t side, int64_t first, int64_t end, uint32_t smallest) {
  const uint64_t step = multiple(geometry->unit), halo = geometry->halo > kMargin ? geometry->halo : kMargin;
  const uint64_t from = (uint64_t)first * geometry->scale_den / geometry->scale_num;
  const uint64_t to = ((uint64_t)end * geometry->scale_den + geometry->scale_num - 1) / geometry->scale_num;
  uint64_t begin = (from > halo ? from - halo : 0) / step * step, stop = (to + halo + step - 1) / step * step;
  if (geometry->halo >= CLIPFREE_LARGEST) begin = 0, stop = side;
  if (stop < begin + smallest) stop = begin + (smallest + step - 1) / step * step;
  if (stop > side) stop = side;
  if (stop < begin + smallest) begin = stop < smallest ? 0 : (stop - smallest) / step * step;
  return (Reach){(uint32_t)begin, (uint32_t)stop};
}

static void find_windows(Conversion* self, const clipfree_region* region) {
  const Geometry* const geometry = &self->geometry;
  const clipfree_picture *const source = &self->source, *const result = &self->result;
  const int64_t tall = (int64_t)geometry_scaled(geometry, source->height);
  const int64_t wide = (int64_t)geometry_scaled(geometry, source->width);
  const int margin = self->to.family == kLuma; /* pixels that share a chroma with those that are wanted */
  self->top = (int64_t)geometry_scaled(geometry, region->top);
  self->left = (int64_t)geometry_scaled(geometry, region->left);
  const int64_t top = self->top - (margin && self->top), left = self->left - (margin && self->left);
  int64_t bottom = self->top + result->height + margin, right = self->left + result->width + margin;
  if (bottom > tall) bottom = tall;
  if (right > wide) right = wide;
  self->cover_left = left, self->cover = right - left;
  const int whole = region->height == source->height && region->width == source->width;
  const Reach down = reach(geometry, source->height, top, bottom, geometry->smallest_height);
  const Reach across = reach(geometry, source->width, left, right, geometry->smallest_width);
  self->window = whole ? (clipfree_region){sizeof self->window, 0, 0, source->height, source->width}
                       : (clipfree_region){sizeof self->window, down.begin, across.begin, down.end - down.begin,
                                           across.end - across.begin};
  self->height = geometry_extended(geometry, self->window.height);
  self->width = geometry_extended(geometry, self->window.width);
}

static void find_way(Conversion* self) {
  const clipfree_picture *const source = &self->source, *const result = &self->result;
  const Format *const from = &self->from, *const to = &self->to;
  self->way = kByColours;
  if (self->geometry.channels == 3) self->way = kColours;
  else if (from->family == kLuma && to->family == kLuma && source->matrix == result->matrix &&
           source->range == result->range && source->site == result->site && from->bits == to->bits)
    self->way = kPlanes;
  self->alpha = from->alpha && to->alpha;
  self->chroma = self->way == kByColours && from->family != kGrey && to->family != kGrey;
  self->rest = self->way == kByColours || from->bits == 8 || to->bits == 8 ? 0 : self->geometry.channels;
}

/* -- memory: laid out twice, first to count it ------------------------------------------------------------------------ */

typedef struct { char* memory; uint64_t used; } Arena;

static void* take(Arena* arena, uint64_t count, uint64_t size) {
  const uint64_t at = arena->used;
  arena->used += (count * size + 63) / 64 * 64;
  return arena->memory ? arena->memory + at : NULL;
}

/* How much a filter has to make: columns, rows, and samples of its rows at most. */
typedef struct { int64_t columns, rows, span; int32_t planes; } Extent;

static Extent extent_of(const Conversion* self, int filter) {
  const int64_t count = self->result.width, rows = self->result.height;
  switch (filter) {
    case kChroma: {
      if (self->from.family != kLuma || self->way == kPlanes) return (Extent){0};
      return (Extent){self->window.width, self->window.height, self->window.width / 2 + 8, 2};
    }
    case kRest: {
      if (!self->rest) return (Extent){0};
      return (Extent){self->cover, rows + 2, self->source.width + 4, self->rest};
    }
    default: {
      if (self->way == kPlanes) return (Extent){(count + 1) / 2, (rows + 1) / 2, self->source.width / 2 + 8, 2};
      const int32_t planes = 2 * self->chroma + self->alpha;
      return planes ? (Extent){self->cover, rows + 2, self->source.width + 4, planes} : (Extent){0};
    }
  }
}

static void lay_resampler(Arena* arena, Resampler* resampler, Extent extent) {
  const uint64_t planes = (uint64_t)extent.planes, columns = (uint64_t)extent.columns;
  int16_t* const given = take(arena, planes * (uint64_t)extent.span, sizeof(int16_t));
  int32_t* const rows = take(arena, 4 * planes * columns, sizeof(int32_t));
  int16_t* const made = take(arena, planes * columns, sizeof(int16_t));
  if (resampler) resampler->given = given, resampler->rows = rows, resampler->made = made, resampler->planes = extent.planes;
}

/* Samples that a row of a lane has room for: with some around it, and a multiple of a vector's. */
static int64_t longest(const Conversion* self) {
  const int64_t window = self->window.width;
  return (window > self->cover ? window : self->cover) / 16 * 16 + 32;
}

static void lay_lane(const Conversion* self, Arena* arena, Lane* lane) {
  const uint64_t length = (uint64_t)self->stride;
  lay_resampler(arena, lane ? &lane->chroma : NULL, extent_of(self, kChroma));
  lay_resampler(arena, lane ? &lane->others : NULL, extent_of(self, kOthers));
  lay_resampler(arena, lane ? &lane->rest : NULL, extent_of(self, kRest));
  const int by = self->way == kByColours, alone = self->way == kPlanes, sums = self->to.family == kLuma && !alone;
  const int grey = self->to.family == kGrey && self->geometry.channels == 3;
  const uint64_t planes = sums || grey ? 3 : self->rest ? 1 : 0;
  uint8_t* const pixels = take(arena, by ? 3 * length : 0, 1);
  int16_t* const samples = take(arena, length, sizeof(int16_t));
  int16_t* const more = take(arena, sums ? length : 0, sizeof(int16_t));
  int16_t* const both = take(arena, sums ? 3 * length : self->alpha ? length : 0, sizeof(int16_t));
  const uint64_t given = self->from.family != kLuma ? 0 : !alone ? 3 : self->rest ? 1 : 0;
  int16_t* const wide = take(arena, given * length, sizeof(int16_t));
  if (lane) lane->pixels = pixels, lane->samples = samples, lane->more = more, lane->sums = both, lane->wide = wide;
  for (int k = 0; k < 4; ++k) {
    uint8_t* const row = take(arena, by ? 3 * length : 0, 1);
    int16_t* const part = take(arena, planes * length, sizeof(int16_t));
    if (lane) lane->rows[k] = row, lane->planes[k] = part;
  }
}

/* Taps of columns and rows. */
typedef struct { Tap *across, *down; } Taps;

static uint64_t lay(const Conversion* self, Arena* arena, Taps taps[3], Jpeg** jpeg, Lane** lanes) {
  for (int filter = 0; filter < 3; ++filter) {
    const Extent extent = extent_of(self, filter);
    taps[filter].across = take(arena, (uint64_t)extent.columns, sizeof(Tap));
    taps[filter].down = take(arena, (uint64_t)extent.rows, sizeof(Tap));
  }
  *jpeg = take(arena, self->way == kByColours, sizeof(Jpeg));
  *lanes = take(arena, self->lane_count, sizeof(Lane));
  for (uint32_t k = 0; k < self->lane_count; ++k) lay_lane(self, arena, *lanes ? *lanes + k : NULL);
  return arena->used;
}

/* -- taps ------------------------------------------------------------------------------------------------------------- */

static void finish(Filter* filter, Taps taps, Extent extent, int64_t row, uint32_t size) {
  filter->across = taps.across, filter->down = taps.down;
  filter->row = row, filter->size = (int32_t)size;
  filter->columns = (int32_t)extent.columns;
  filter->base = taps.across[0].first;
  filter->span = taps.across[extent.columns - 1].first + 4 - filter->base;
}

/* Where chroma lies on its pixels: across and down, in luma samples behind the first. */
static double site_across(const clipfree_picture* picture) { return picture->site == CLIPFREE_CENTRE ? 0.5 : 0.0; }
static double site_down(const clipfree_picture* picture) { return picture->site == CLIPFREE_TOP_LEFT ? 0.0 : 0.5; }

static void make_chroma(Conversion* self, Taps taps) {
  const clipfree_picture* const source = &self->source;
  const clipfree_region* const window = &self->window;
  const uint32_t width = format_side(&self->from, 1, source->width), height = format_side(&self->from, 1, source->height);
  const Extent extent = extent_of(self, kChroma);
  taps_of_integers(taps.across, width, 2, 1, 0.25 - site_across(source) / 2, window->left, extent.columns);
  taps_of_integers(taps.down, height, 2, 1, 0.25 - site_down(source) / 2, window->top, extent.rows);
  self->filters[kChroma] = (Filter){.shift = 20, .high = (1 << self->from.bits) - 1};
  finish(&self->filters[kChroma], taps, extent, window->top, height);
}

/* How much further on chroma lies that stays where it is on luma, as `toolchain.video.enlarge` has it. */
static double shift_of(const Geometry* geometry, double site) {
  const double den = geometry->scale_den;
  return ((double)geometry->scale_num - den) / den * (0.5 - site) / (2.0 * geometry->scale_num / den);
}

static void make_others(Conversion* self, Taps taps) {
  const Geometry* const g = &self->geometry;
  const clipfree_picture* const source = &self->source;
  const Extent extent = extent_of(self, kOthers);
  if (self->way == kPlanes) {
    const uint32_t width = format_side(&self->from, 1, source->width), height = format_side(&self->from, 1, source->height);
    taps_of_integers(taps.across, width, g->scale_num, g->scale_den, shift_of(g, site_across(source)), self->left / 2,
                     extent.columns);
    taps_of_integers(taps.down, height, g->scale_num, g->scale_den, shift_of(g, site_down(source)), self->top / 2,
                     extent.rows);
    self->filters[kOthers] = (Filter){.shift = 20, .high = (1 << self->from.bits) - 1};
    finish(&self->filters[kOthers], taps, extent, self->top / 2, height);
    return;
  }
  const int64_t top = self->top ? self->top - 1 : 0;
  taps_of_pillow(taps.across, source->width, g->scale_num, g->scale_den, self->cover_left, extent.columns);
  taps_of_pillow(taps.down, source->height, g->scale_num, g->scale_den, top, extent.rows);
  self->filters[kOthers] = (Filter){.shift = 22, .high = 255, .twice = 1};
  finish(&self->filters[kOthers], taps, extent, top, source->height);
}

static void make_rest(Conversion* self, Taps taps) {
  const Geometry* const g = &self->geometry;
  const Extent extent = extent_of(self, kRest);
  const int64_t top = self->top ? self->top - 1 : 0;
  taps_of_integers(taps.across, self->source.width, g->scale_num, g->scale_den, 0.0, self->cover_left, extent.columns);
  taps_of_integers(taps.down, self->source.height, g->scale_num, g->scale_den, 0.0, top, extent.rows);
  self->filters[kRest] = (Filter){.shift = 20, .low = -1023, .high = 1023, .small = 1};
  finish(&self->filters[kRest], taps, extent, top, self->source.height);
}

/* -- all of it -------------------------------------------------------------------------------------------------------- */

static void note(Conversion* self, const clipfree_region* region) {
  const clipfree_picture* const both[2] = {&self->source, &self->result};
  uint32_t known[24] = {self->lane_count, region->top, region->left, region->height, region->width};
  for (int which = 0; which < 2; ++which) {
    const clipfree_picture* const one = both[which];
    const uint32_t numbers[6] = {(uint32_t)one->format, one->height, one->width, (uint32_t)one->matrix,
                                 (uint32_t)one->range, (uint32_t)one->site};
    memcpy(known + 6 + 6 * which, numbers, sizeof numbers);
  }
  if (memcmp(known, self->known, sizeof known)) self->memory = NULL; /* what lies there is for others */
  memcpy(self->known, known, sizeof known);
}

uint64_t conversion_plan(Conversion* self, const Geometry* geometry, const clipfree_picture pictures[2],
                         const clipfree_region* region, uint32_t lanes) {
  Arena arena = {NULL, 0};
  Taps taps[3];
  Jpeg* jpeg;
  Lane* none;
  self->geometry = *geometry;
  self->source = pictures[0], self->result = pictures[1];
  self->from = format_of(self->source.format), self->to = format_of(self->result.format);
  self->lane_count = lanes;
  note(self, region);
  find_way(self);
  find_windows(self, region);
  self->stride = longest(self);
  return lay(self, &arena, taps, &jpeg, &none);
}

void conversion_place(Conversion* self, void* memory) {
  Arena arena = {memory, 0};
  Taps taps[3];
  if (self->memory == memory) return;
  lay(self, &arena, taps, &self->jpeg, &self->lanes);
  if (extent_of(self, kChroma).planes) make_chroma(self, taps[kChroma]);
  if (extent_of(self, kOthers).planes) make_others(self, taps[kOthers]);
  if (extent_of(self, kRest).planes) make_rest(self, taps[kRest]);
  if (self->way == kByColours) jpeg_prepare(self->jpeg);
  self->to_rgb = colours_to_rgb(&self->source, self->from.bits);
  self->to_yuv = colours_to_yuv(&self->result, self->to.bits, self->rest ? self->to.bits : 8);
  for (uint32_t k = 0; k < self->lane_count; ++k) {
    Lane* const lane = &self->lanes[k];
    lane->conversion = self;
    lane->chroma.filter = &self->filters[kChroma];
    lane->others.filter = &self->filters[kOthers];
    lane->rest.filter = &self->filters[kRest];
  }
  self->memory = memory;
}

uint64_t conversion_most(const Geometry* geometry, uint32_t height, uint32_t width, uint32_t lanes) {
  uint64_t most = 0;
  for (int32_t from = CLIPFREE_GREY; from <= CLIPFREE_I010; ++from)
    for (int32_t to = CLIPFREE_GREY; to <= CLIPFREE_I010; ++to) {
      Conversion one = {0};
      const clipfree_picture pictures[2] = {
        {.format = from, .height = height, .width = width},
        {.format = to, .height = (uint32_t)geometry_scaled(geometry, height), .width = (uint32_t)geometry_scaled(geometry, width)},
      };
      const clipfree_region all = {sizeof all, 0, 0, height, width};
      const uint64_t bytes = conversion_plan(&one, geometry, pictures, &all, lanes);
      if (bytes > most) most = bytes;
    }
  return most;
}
