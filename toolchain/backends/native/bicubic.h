/* Bicubic enlarging of planes, row by row, in the arithmetic of clipfree's own commands, byte for byte. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Four neighbouring samples, and what each counts. */
typedef struct { int32_t first, weights[4]; } Tap;

/* How a plane's rows and columns are made. */
typedef struct {
  const Tap *across, *down; /* of the columns and rows that are wanted, beginning at `row` */
  int64_t row;
  int32_t columns;
  int32_t base, span;       /* the samples of a row that are looked at: from which on, how many */
  int32_t size;             /* rows that there are */
  int32_t shift;            /* bits behind the point of sums */
  int32_t low, high;        /* where they are cut off */
  int32_t twice;            /* they are rounded along rows, and again along columns */
  int32_t small;            /* sums along rows fit in 16 bits: their samples have no more than 5 */
} Filter;

/* Make the taps of `count` samples of a side from `begin` on, when all `size` samples of it are enlarged by the fraction
 * scale_num / scale_den: as Pillow does with a picture of 8 bits, extended to a multiple of scale_den. */
void taps_of_pillow(Tap* taps, uint32_t size, uint32_t scale_num, uint32_t scale_den, int64_t begin, int64_t count);

/* The same in weights of 10 bits, as `toolchain.runtime.photo.bicubic_integers` does, and so much further on. */
void taps_of_integers(Tap* taps, uint32_t size, uint32_t scale_num, uint32_t scale_den, double shift, int64_t begin,
                      int64_t count);

/* Take so many samples from `base` on of each plane's row, at most those that there are; planes are `span` apart. */
typedef void (*Fill)(void* context, int64_t row, int32_t base, int32_t span, int16_t* planes);

/* The latest rows of some planes, enlarged along rows. */
typedef struct {
  const Filter* filter;
  int32_t planes;
  int16_t* given; /* planes * span */
  int32_t* rows;  /* 4 * planes * columns, if they are small the half of each */
  int16_t* made;  /* planes * columns */
  int64_t held[4];
  Fill fill;
  void* context;
} Resampler;

/* Take planes from there; what it holds of others is forgotten. */
void resampler_begin(Resampler* resampler, Fill fill, void* context);

/* Make row `row` of all planes, in `made`. */
void resampler_row(Resampler* resampler, int64_t row);
