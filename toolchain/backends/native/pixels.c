#include "pixels.h"

#include "vectors.h"

/* Bytes that are asked for before it is their turn: what is done between rows hides them from the processor. */
enum { kAhead = 6144 };

/* Loops take 16 bytes where fewer count, and write as many, which are overwritten then: they end before those would lie
 * beyond the row, and the rest is done pixel by pixel. */

static inline Bytes load(const uint8_t* from) { return *(const AnyBytes*)from; }
static inline void store(uint8_t* to, Bytes bytes) { *(AnyBytes*)to = bytes; }

void pixels_swap(const uint8_t* from, int64_t count, uint8_t* to) {
  int64_t x = 0;
#if SHUFFLES
  for (; x + 6 <= count; x += 5) {
    const Bytes five = load(from + 3 * x);
    store(to + 3 * x, SHUFFLE(five, five, 2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9, 14, 13, 12, 15));
  }
#endif
  for (; x < count; ++x)
    to[3 * x] = from[3 * x + 2], to[3 * x + 1] = from[3 * x + 1], to[3 * x + 2] = from[3 * x];
}

/* Four of them, whose bytes begin at `first`, and of their alphas at `at`. */
#define WIDEN(four, red, first, at)                                                                                 \
  SHUFFLE(four, opacity, first + red, first + 1, first + 2 - red, 16 + at, first + 3 + red, first + 4,              \
          first + 5 - red, 17 + at, first + 6 + red, first + 7, first + 8 - red, 18 + at, first + 9 + red,          \
          first + 10, first + 11 - red, 19 + at)
#define WIDEN_ALL(red)                                   \
  do {                                                   \
    store(out, WIDEN(load(from), red, 0, 0));            \
    store(out + 16, WIDEN(load(from + 12), red, 0, 4));  \
    store(out + 32, WIDEN(load(from + 24), red, 0, 8));  \
    store(out + 48, WIDEN(load(from + 32), red, 4, 12)); \
  } while (0)

void pixels_widen(const uint8_t* rgb, int32_t swapped, const uint8_t* alpha, int64_t count, uint8_t* to) {
  int64_t x = 0;
#if SHUFFLES
  for (; x + 16 <= count; x += 16) {
    const Bytes opacity = alpha ? load(alpha + x) : (Bytes){0} - 1;
    const uint8_t* const from = rgb + 3 * x;
    uint8_t* const out = to + 4 * x;
    __builtin_prefetch(from + kAhead), __builtin_prefetch(out + kAhead, 1);
    if (swapped) WIDEN_ALL(2);
    else WIDEN_ALL(0);
  }
#endif
  for (; x < count; ++x) {
    to[4 * x + (swapped ? 2 : 0)] = rgb[3 * x];
    to[4 * x + 1] = rgb[3 * x + 1];
    to[4 * x + (swapped ? 0 : 2)] = rgb[3 * x + 2];
    to[4 * x + 3] = alpha ? alpha[x] : 255;
  }
}

void pixels_narrow(const uint8_t* from, int32_t swapped, int64_t count, uint8_t* rgb) {
  int64_t x = 0;
#if SHUFFLES
  for (; x + 6 <= count; x += 4) {
    const Bytes four = load(from + 4 * x);
    if (swapped) store(rgb + 3 * x, SHUFFLE(four, four, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 15, 15, 15, 15));
    else store(rgb + 3 * x, SHUFFLE(four, four, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 15, 15, 15, 15));
  }
#endif
  for (; x < count; ++x) {
    rgb[3 * x] = from[4 * x + (swapped ? 2 : 0)];
    rgb[3 * x + 1] = from[4 * x + 1];
    rgb[3 * x + 2] = from[4 * x + (swapped ? 0 : 2)];
  }
}

/* Four pixels, channel by channel, and the other way. */
static inline Numbers four_split(Bytes four) {
  return (Numbers)SHUFFLE(four, four, 0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11, 15, 15, 15, 15);
}

/* The four that are the last ones of 16 bytes. */
static inline Numbers last_split(Bytes four) {
  return (Numbers)SHUFFLE(four, four, 4, 7, 10, 13, 5, 8, 11, 14, 6, 9, 12, 15, 15, 15, 15, 15);
}

static inline Bytes four_join(Numbers channels) {
  const Bytes four = (Bytes)channels;
  return SHUFFLE(four, four, 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11, 15, 15, 15, 15);
}

void pixels_split(const uint8_t* rgb, int64_t count, uint8_t* red, uint8_t* green, uint8_t* blue) {
  int64_t x = 0;
#if SHUFFLES
  for (; x + 16 <= count; x += 16) {
    const uint8_t* const from = rgb + 3 * x;
    __builtin_prefetch(from + kAhead);
    const Numbers a = four_split(load(from)), b = four_split(load(from + 12));
    const Numbers c = four_split(load(from + 24)), d = last_split(load(from + 32));
    const Numbers first = SHUFFLE_NUMBERS(a, b, 0, 4, 1, 5), second = SHUFFLE_NUMBERS(c, d, 0, 4, 1, 5);
    const Numbers third = SHUFFLE_NUMBERS(a, b, 2, 6, 3, 7), fourth = SHUFFLE_NUMBERS(c, d, 2, 6, 3, 7);
    store(red + x, (Bytes)SHUFFLE_NUMBERS(first, second, 0, 1, 4, 5));
    store(green + x, (Bytes)SHUFFLE_NUMBERS(first, second, 2, 3, 6, 7));
    store(blue + x, (Bytes)SHUFFLE_NUMBERS(third, fourth, 0, 1, 4, 5));
  }
#endif
  for (; x < count; ++x) red[x] = rgb[3 * x], green[x] = rgb[3 * x + 1], blue[x] = rgb[3 * x + 2];
}

void pixels_join(const uint8_t* red, const uint8_t* green, const uint8_t* blue, int64_t count, uint8_t* rgb) {
  int64_t x = 0;
#if SHUFFLES
  for (; x + 16 <= count; x += 16) {
    const Numbers r = (Numbers)load(red + x), g = (Numbers)load(green + x), b = (Numbers)load(blue + x);
    const Numbers low = SHUFFLE_NUMBERS(r, g, 0, 4, 1, 5), high = SHUFFLE_NUMBERS(r, g, 2, 6, 3, 7);
    const Numbers low_blue = SHUFFLE_NUMBERS(b, b, 0, 0, 1, 1), high_blue = SHUFFLE_NUMBERS(b, b, 2, 2, 3, 3);
    uint8_t* const to = rgb + 3 * x;
    const Bytes third = four_join(SHUFFLE_NUMBERS(high, high_blue, 0, 1, 4, 5));
    const Bytes fourth = four_join(SHUFFLE_NUMBERS(high, high_blue, 2, 3, 6, 7));
    store(to, four_join(SHUFFLE_NUMBERS(low, low_blue, 0, 1, 4, 5)));
    store(to + 12, four_join(SHUFFLE_NUMBERS(low, low_blue, 2, 3, 6, 7)));
    store(to + 24, third);
    store(to + 32, SHUFFLE(third, fourth, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27));
  }
#endif
  for (; x < count; ++x) rgb[3 * x] = red[x], rgb[3 * x + 1] = green[x], rgb[3 * x + 2] = blue[x];
}
