#include "colours.h"

#include "pixels.h"
#include "vectors.h"

enum { kBits = 16 };

/* -- matrices ------------------------------------------------------------------------------------------------------- */

/* What red and blue add to luma, in ten thousandths. */
typedef struct { int64_t red, blue; } Weights;

static Weights weights_of(const clipfree_picture* picture) {
  switch (picture->matrix) {
    case CLIPFREE_BT601: return (Weights){2990, 1140};
    case CLIPFREE_BT709: return (Weights){2126, 722};
    default: return (Weights){2627, 593};
  }
}

/* Steps of luma and of chroma for one of RGB, in 255ths. */
typedef struct { int64_t luma, chroma, of; } Steps;

static Steps steps_of(const clipfree_picture* picture) {
  return picture->range == CLIPFREE_FULL ? (Steps){255, 255, 255} : (Steps){219, 224, 255};
}

/* A fraction with 16 bits behind the point, rounded to the nearest, or the even one of two. */
static int32_t fixed(int64_t numerator, int64_t denominator) {
  const int64_t value = numerator * (1 << kBits), size = value < 0 ? -value : value;
  const int64_t whole = size / denominator, rest = size % denominator;
  const int64_t found = whole + (2 * rest > denominator || (2 * rest == denominator && whole % 2));
  return (int32_t)(value < 0 ? -found : found);
}

ToRgb colours_to_rgb(const clipfree_picture* picture, int32_t bits) {
  const Weights w = weights_of(picture);
  const Steps s = steps_of(picture);
  const int64_t one = 10000, green = one - w.red - w.blue;
  return (ToRgb){
    fixed(s.of, s.luma),
    fixed(2 * (one - w.red) * s.of, one * s.chroma),
    fixed(2 * (one - w.blue) * w.blue * s.of, green * one * s.chroma),
    fixed(2 * (one - w.red) * w.red * s.of, green * one * s.chroma),
    fixed(2 * (one - w.blue) * s.of, one * s.chroma),
    picture->range == CLIPFREE_FULL ? 0 : 16 << (bits - 8),
    128 << (bits - 8),
    (1 << bits) - 1,
  };
}

ToYuv colours_to_yuv(const clipfree_picture* picture, int32_t bits, int32_t depth) {
  const Weights w = weights_of(picture);
  const Steps s = steps_of(picture);
  const int64_t one = 10000;
  const int32_t red = fixed(w.red * s.luma, one * s.of), blue = fixed(w.blue * s.luma, one * s.of);
  const int32_t half = fixed(s.chroma, 2 * s.of);
  const int32_t u_red = fixed(-w.red * s.chroma, 2 * (one - w.blue) * s.of);
  const int32_t v_blue = fixed(-w.blue * s.chroma, 2 * (one - w.red) * s.of);
  return (ToYuv){
    {{red, fixed(s.luma, s.of) - red - blue, blue}, {u_red, -half - u_red, half}, {half, -half - v_blue, v_blue}},
    {picture->range == CLIPFREE_FULL ? 0 : 16, 128, 128},
    bits, depth,
  };
}

void colours_of_yuv(const ToRgb* way, const int16_t* luma, const int16_t* blue, const int16_t* red, int64_t count,
                    int16_t* restrict planes, int64_t stride) {
  const ToRgb k = *way;
  int16_t *restrict const r = planes, *restrict const g = planes + stride, *restrict const b = planes + 2 * stride;
  for (int64_t x = 0; x < count; ++x) {
    const int32_t y = (luma[x] - k.black) * k.gain + (1 << (kBits - 1));
    const int32_t u = blue[x] - k.middle, v = red[x] - k.middle;
    r[x] = (int16_t)cut_below((y + k.red_v * v) >> kBits, k.most);
    g[x] = (int16_t)cut_below((y - k.green_u * u - k.green_v * v) >> kBits, k.most);
    b[x] = (int16_t)cut_below((y + k.blue_u * u) >> kBits, k.most);
  }
}

#ifdef __AVX2__
static inline __m256i sixteen(Planes planes, int32_t plane, int64_t x) {
  const void* const from = (const uint8_t*)plane_of(planes, plane) + (x << planes.wide);
  return planes.wide ? _mm256_loadu_si256((const __m256i*)from) : _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i*)from));
}
#endif

/* Sums of samples by their weights, as a sample. */
typedef struct { int32_t weights[3], add, shift, most; } Row;

static Row row_of(const ToYuv* way, int32_t channel, int32_t power) {
  const int32_t* const w = way->weights[channel];
  const int32_t shift = kBits + power - (way->bits - way->depth);
  return (Row){{w[0], w[1], w[2]}, way->zeros[channel] * (1 << (kBits + power + way->depth - 8)) + (1 << (shift - 1)), shift,
               (1 << way->bits) - 1};
}

/* Of weights that none is negative of, whose sums are samples. */
static void sum(const Row* row, Planes planes, int64_t count, int16_t* restrict made) {
  const Row k = *row;
#ifdef __AVX2__ /* 16 at a time, and some beyond the last: green counts in two parts, since products take 16 bits with a sign */
  const int32_t green = k.weights[1] / 2;
  const __m256i first = _mm256_set1_epi32(k.weights[0] | green << 16), zero = _mm256_set1_epi32(k.add);
  const __m256i second = _mm256_set1_epi32(k.weights[2] | (k.weights[1] - green) << 16);
  const __m128i shift = _mm_cvtsi32_si128(k.shift);
  for (int64_t x = 0; x < count; x += 16) {
    const __m256i r = sixteen(planes, 0, x), g = sixteen(planes, 1, x), b = sixteen(planes, 2, x);
    const __m256i low = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(r, g), first),
                                         _mm256_madd_epi16(_mm256_unpacklo_epi16(b, g), second));
    const __m256i high = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(r, g), first),
                                          _mm256_madd_epi16(_mm256_unpackhi_epi16(b, g), second));
    const __m256i both = _mm256_packs_epi32(_mm256_sra_epi32(_mm256_add_epi32(low, zero), shift),
                                            _mm256_sra_epi32(_mm256_add_epi32(high, zero), shift));
    _mm256_storeu_si256((__m256i*)(void*)(made + x), both);
  }
#else
#define SUMS(type)                                                                                                  \
  do {                                                                                                              \
    const type *const r = plane_of(planes, 0), *const g = plane_of(planes, 1), *const b = plane_of(planes, 2);      \
    for (int64_t x = 0; x < count; ++x)                                                                             \
      made[x] = (int16_t)((k.weights[0] * r[x] + k.weights[1] * g[x] + k.weights[2] * b[x] + k.add) >> k.shift);    \
  } while (0)
  if (planes.wide) SUMS(int16_t);
  else SUMS(uint8_t);
#endif
}

void luma_of_planes(const ToYuv* way, Planes planes, int64_t count, int16_t* made) {
  const Row row = row_of(way, 0, 0);
  sum(&row, planes, count, made);
}

void grey_of_planes(Planes planes, int64_t count, int16_t* grey) {
  const Row row = {{19595, 38470, 7471}, 1 << (kBits - 1), kBits, 255};
  sum(&row, planes, count, grey);
}

typedef uint32_t Pair __attribute__((may_alias)); /* an even column, and above it the one to its right */

static inline int32_t around(const Pair* pairs, int64_t x, int32_t across) {
  const uint32_t before = pairs[x - 1] >> 16 & (0u - (uint32_t)across);
  return (int32_t)(before + ((pairs[x] & 0xffff) << across) + (pairs[x] >> 16));
}

void chroma_of_sums(const ToYuv* way, int32_t down, int32_t across, const int16_t* sums, int64_t stride, int64_t count,
                    int16_t* restrict blue, int16_t* restrict red) {
  const Row u = row_of(way, 1, 2 + down + across), v = row_of(way, 2, 2 + down + across);
  const Pair *const r = (const Pair*)sums, *const g = (const Pair*)(sums + stride), *const b = (const Pair*)(sums + 2 * stride);
  for (int64_t x = 0; x < count; ++x) {
    const int32_t first = around(r, x, across), second = around(g, x, across), third = around(b, x, across);
    const int32_t one = u.weights[0] * first + u.weights[1] * second + u.weights[2] * third;
    const int32_t other = v.weights[0] * first + v.weights[1] * second + v.weights[2] * third;
    blue[x] = (int16_t)cut_below((one + u.add) >> u.shift, u.most);
    red[x] = (int16_t)cut_below((other + v.add) >> v.shift, v.most);
  }
}

/* -- JPEG's --------------------------------------------------------------------------------------------------------- */

enum { kTableBits = 6 };

/* `weight` hundred thousandths of a value, with 6 bits behind the point, as C converts a half more than it. */
static int16_t entry(int32_t weight, int32_t value) {
  return (int16_t)(((int64_t)weight * value * (1 << kTableBits) + 50000) / 100000);
}

void jpeg_prepare(Jpeg* jpeg) {
  static const int32_t weights[3][3] = {{29900, 58700, 11400}, {-16874, -33126, 50000}, {50000, -41869, -8131}};
  for (int32_t value = 0; value < 256; ++value) {
    for (int32_t made = 0; made < 3; ++made)
      for (int32_t channel = 0; channel < 3; ++channel)
        jpeg->to[made][channel][value] = entry(weights[made][channel], value);
    jpeg->red[value] = (int16_t)(entry(140200, value - 128) >> kTableBits);
    jpeg->blue[value] = (int16_t)(entry(177200, value - 128) >> kTableBits);
    jpeg->green_u[value] = entry(-34414, value - 128);
    jpeg->green_v[value] = entry(-71414, value - 128);
  }
}

void jpeg_of_rgb(const Jpeg* jpeg, int32_t channel, const uint8_t* rgb, int64_t count, int16_t* made) {
  const int16_t(*const to)[256] = jpeg->to[channel];
  const int16_t zero = channel ? 128 : 0;
  for (int64_t x = 0; x < count; ++x)
    made[x] = (int16_t)(((to[0][rgb[3 * x]] + to[1][rgb[3 * x + 1]] + to[2][rgb[3 * x + 2]]) >> kTableBits) + zero);
}

void rgb_of_jpeg(const Jpeg* jpeg, const uint8_t* restrict luma, const int16_t* blue, const int16_t* red, int64_t count,
                 uint8_t* restrict rgb) {
  enum { kOnce = 256 }; /* pixels: looked up first, then added many at a time */
  for (int64_t begin = 0; begin < count; begin += kOnce) {
    const int32_t part = count - begin < kOnce ? (int32_t)(count - begin) : kOnce;
    int16_t more[3][kOnce];
    uint8_t made[3][kOnce];
    for (int32_t x = 0; x < part; ++x) {
      const uint8_t u = (uint8_t)blue[begin + x], v = (uint8_t)red[begin + x];
      more[0][x] = jpeg->red[v];
      more[1][x] = (int16_t)((jpeg->green_u[u] + jpeg->green_v[v]) >> kTableBits);
      more[2][x] = jpeg->blue[u];
    }
    for (int32_t channel = 0; channel < 3; ++channel)
      for (int32_t x = 0; x < part; ++x) made[channel][x] = (uint8_t)cut_below(luma[begin + x] + more[channel][x], 255);
    pixels_join(made[0], made[1], made[2], part, rgb + 3 * begin);
  }
}
