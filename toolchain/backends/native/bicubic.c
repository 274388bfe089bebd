#include "bicubic.h"

#include "vectors.h"

/* Compiled without contraction: products are rounded before they are added, as Python does. */

static int64_t floor_of(double value) {
  const int64_t whole = (int64_t)value;
  return whole - (value < (double)whole);
}

static int32_t nearest(double value) { /* or the even one of two */
  const int64_t below = floor_of(value);
  const double rest = value - (double)below;
  return (int32_t)(below + (rest > 0.5 || (rest == 0.5 && below % 2)));
}

/* Put the weights of `count` samples from `first` on into a tap of samples that there are: beyond the edges the outermost
 * go on. */
static Tap folded(int64_t first, const int32_t* weights, int32_t count, int64_t size) {
  const int64_t last = size > 4 ? size - 4 : 0, begin = first < 0 ? 0 : first > last ? last : first;
  Tap tap = {(int32_t)begin, {0, 0, 0, 0}};
  for (int32_t i = 0; i < count; ++i) {
    const int64_t place = first + i < 0 ? 0 : first + i >= size ? size - 1 : first + i;
    if (weights[i]) tap.weights[place - begin] += weights[i];
  }
  return tap;
}

static double pillow_cubic(double x) {
  const double a = -0.5, size = x < 0.0 ? -x : x;
  if (size < 1.0) return ((a + 2.0) * size - (a + 3.0)) * size * size + 1.0;
  return size < 2.0 ? (((size - 5.0) * size + 8.0) * size - 4.0) * a : 0.0;
}

void taps_of_pillow(Tap* taps, uint32_t size, uint32_t scale_num, uint32_t scale_den, int64_t begin, int64_t count) {
  enum { kBits = 22, kMost = 6 };
  const int64_t whole = ((int64_t)size + scale_den - 1) / scale_den * scale_den;
  const double scale = (double)whole / (double)(whole / scale_den * scale_num), support = 2.0;
  for (int64_t i = 0; i < count; ++i) {
    const double centre = ((double)(begin + i) + 0.5) * scale;
    int64_t first = (int64_t)(centre - support + 0.5), end = (int64_t)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (end > whole) end = whole;
    double parts[kMost] = {0.0}, sum = 0.0;
    int32_t weights[kMost] = {0};
    const int32_t terms = (int32_t)(end - first);
    for (int32_t k = 0; k < terms; ++k) {
      parts[k] = pillow_cubic((double)(k + first) - centre + 0.5);
      sum += parts[k];
    }
    for (int32_t k = 0; k < terms; ++k) {
      const double part = parts[k] / sum * (double)(1 << kBits);
      weights[k] = (int32_t)(part < 0.0 ? part - 0.5 : part + 0.5);
    }
    const int32_t skipped = terms > 4 && !weights[0]; /* a fifth one counts nothing */
    taps[i] = folded(first + skipped, weights + skipped, terms - skipped, size);
  }
}

static double cubic(double distance) {
  const double x = distance < 0.0 ? -distance : distance;
  if (x < 1.0) return (1.5 * x - 2.5) * x * x + 1.0;
  return x < 2.0 ? ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0 : 0.0;
}

void taps_of_integers(Tap* taps, uint32_t size, uint32_t scale_num, uint32_t scale_den, double shift, int64_t begin,
                      int64_t count) {
  enum { kOne = 1 << 10 };
  const double scale = (double)scale_num / (double)scale_den;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = begin + i, phase = at % scale_num;
    const double place = ((double)phase + 0.5) / scale - 0.5 + shift;
    const int64_t first = floor_of(place) - 1;
    int32_t weights[4], sum = 0, largest = 0;
    for (int32_t k = 0; k < 4; ++k) {
      weights[k] = nearest(cubic((double)(first + k) - place) * (double)kOne);
      sum += weights[k];
      if (weights[k] > weights[largest]) largest = k;
    }
    weights[largest] += kOne - sum;
    taps[i] = folded(at / scale_num * scale_den + first, weights, 4, size);
  }
}

/* -- rows ------------------------------------------------------------------------------------------------------------- */

static int32_t cut(int32_t value, int32_t low, int32_t high) { return value < low ? low : value > high ? high : value; }

#if SHUFFLES
static inline Numbers products(const Tap* tap, const int16_t* start) {
  return four_samples(start + tap->first) * *(const AnyNumbers*)tap->weights;
}

/* The sums of two vectors' elements: the first in two parts in the elements 0 and 2, the second in 1 and 3. */
static inline Numbers halves(Numbers one, Numbers other) {
  return SHUFFLE_NUMBERS(one, other, 0, 4, 1, 5) + SHUFFLE_NUMBERS(one, other, 2, 6, 3, 7);
}
#endif

static void along_row(const Filter* filter, const int16_t* restrict given, int32_t* restrict made) {
  const int32_t half = filter->twice ? 1 << (filter->shift - 1) : 0;
  const int16_t* const start = given - filter->base;
  int32_t x = 0;
#if SHUFFLES
  for (; x + 4 <= filter->columns; x += 4) {
    const Tap* const tap = &filter->across[x];
    const Numbers first = halves(products(tap, start), products(tap + 1, start));
    const Numbers second = halves(products(tap + 2, start), products(tap + 3, start));
    *(AnyNumbers*)(made + x) = SHUFFLE_NUMBERS(first, second, 0, 1, 4, 5) + SHUFFLE_NUMBERS(first, second, 2, 3, 6, 7) + half;
  }
#endif
  for (; x < filter->columns; ++x) {
    const Tap* const tap = &filter->across[x];
    const int16_t* const from = start + tap->first;
    made[x] = tap->weights[0] * from[0] + tap->weights[1] * from[1] + tap->weights[2] * from[2] + tap->weights[3] * from[3] + half;
  }
  if (filter->twice)
    for (x = 0; x < filter->columns; ++x) made[x] = cut(made[x] >> filter->shift, filter->low, filter->high);
}

static void along_columns(const Filter* filter, const Tap* tap, const int32_t* const rows[4], int16_t* restrict made) {
  const int32_t *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2], *restrict d = rows[3];
  const int32_t half = 1 << (filter->shift - 1), shift = filter->shift, low = filter->low, high = filter->high;
  const int32_t *const w = tap->weights, w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
  for (int32_t x = 0; x < filter->columns; ++x)
    made[x] = (int16_t)cut((w0 * a[x] + w1 * b[x] + w2 * c[x] + w3 * d[x] + half) >> shift, low, high);
}

/* The same of sums that fit in 16 bits, which take half the memory. */
static void halve(const int32_t* restrict sums, int32_t columns, int16_t* restrict made) {
  for (int32_t x = 0; x < columns; ++x) made[x] = (int16_t)sums[x];
}

static void along_small_columns(const Filter* filter, const Tap* tap, const int16_t* const rows[4], int16_t* restrict made) {
  const int16_t *restrict a = rows[0], *restrict b = rows[1], *restrict c = rows[2], *restrict d = rows[3];
  const int32_t half = 1 << (filter->shift - 1), shift = filter->shift, low = filter->low, high = filter->high;
  const int32_t* const w = tap->weights;
  int32_t x = 0;
#ifdef __AVX2__
  const __m256i first = _mm256_set1_epi32((w[0] & 0xffff) | (int32_t)((uint32_t)w[1] << 16)), add = _mm256_set1_epi32(half);
  const __m256i second = _mm256_set1_epi32((w[2] & 0xffff) | (int32_t)((uint32_t)w[3] << 16));
  const __m256i least = _mm256_set1_epi16((int16_t)low), most = _mm256_set1_epi16((int16_t)high);
  const __m128i by = _mm_cvtsi32_si128(shift);
#define ROW(row) _mm256_loadu_si256((const __m256i*)(const void*)(row + x))
#define SUM(unpack) _mm256_sra_epi32(_mm256_add_epi32(_mm256_add_epi32(_mm256_madd_epi16(unpack(one, two), first), \
                                     _mm256_madd_epi16(unpack(three, four), second)), add), by)
  for (; x + 16 <= filter->columns; x += 16) {
    const __m256i one = ROW(a), two = ROW(b), three = ROW(c), four = ROW(d);
    const __m256i both = _mm256_packs_epi32(SUM(_mm256_unpacklo_epi16), SUM(_mm256_unpackhi_epi16));
    _mm256_storeu_si256((__m256i*)(void*)(made + x), _mm256_min_epi16(_mm256_max_epi16(both, least), most));
  }
#endif
  for (; x < filter->columns; ++x)
    made[x] = (int16_t)cut((w[0] * a[x] + w[1] * b[x] + w[2] * c[x] + w[3] * d[x] + half) >> shift, low, high);
}

void resampler_begin(Resampler* resampler, Fill fill, void* context) {
  resampler->fill = fill, resampler->context = context;
  for (int k = 0; k < 4; ++k) resampler->held[k] = -1;
}

void resampler_row(Resampler* resampler, int64_t row) {
  const Filter* const filter = resampler->filter;
  const Tap* const tap = &filter->down[row - filter->row];
  const int64_t columns = filter->columns, planes = resampler->planes;
  int16_t* const small = (int16_t*)resampler->rows;
  int32_t* const once = resampler->rows + 2 * planes * columns; /* beyond the small ones */
  const int32_t* rows[4];
  const int16_t* small_rows[4];
  int32_t slots[4];
  for (int32_t k = 0; k < 4; ++k) {
    const int64_t source = tap->first + k < filter->size ? tap->first + k : filter->size - 1; /* which counts nothing then */
    slots[k] = (int32_t)(source % 4);
    if (resampler->held[slots[k]] == source) continue;
    resampler->held[slots[k]] = source;
    resampler->fill(resampler->context, source, filter->base, filter->span, resampler->given);
    for (int32_t plane = 0; plane < planes; ++plane) {
      const int64_t at = (slots[k] * planes + plane) * columns;
      along_row(filter, resampler->given + (int64_t)plane * filter->span, filter->small ? once : resampler->rows + at);
      if (filter->small) halve(once, filter->columns, small + at);
    }
  }
  for (int32_t plane = 0; plane < planes; ++plane) {
    for (int32_t k = 0; k < 4; ++k) {
      const int64_t at = (slots[k] * planes + plane) * columns;
      rows[k] = resampler->rows + at, small_rows[k] = small + at;
    }
    if (filter->small) along_small_columns(filter, tap, small_rows, resampler->made + plane * columns);
    else along_columns(filter, tap, rows, resampler->made + plane * columns);
  }
}
