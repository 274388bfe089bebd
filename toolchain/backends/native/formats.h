/* How pixels of each format lie in memory, and what their luma and chroma stand for. */
#pragma once

#include "failure.h"

typedef enum { kGrey = 1, kColour, kLuma } Family; /* kLuma: with a chroma for each two by two pixels */

typedef struct { uint8_t plane, sample; } Place;

typedef struct {
  Family family; /* 0: there is no such format */
  int32_t planes;
  uint8_t samples[3]; /* of each plane, for a pixel of it */
  uint8_t bytes;      /* of a sample */
  uint8_t bits, low;  /* that count, and lower ones that do not */
  Place channels[4];  /* red, green, blue, alpha; or luma, blue and red difference */
  uint8_t alpha;      /* it has one */
} Format;

Format format_of(int32_t format);

/* A side of a plane: of the picture, or of its chroma. */
uint32_t format_side(const Format* format, int32_t plane, uint32_t side);

/* Where a channel's sample of a plane's row and column lies. */
uint8_t* format_sample(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t column);

/* Replace what a picture leaves open of its colours: by what `from` has, if that is not NULL and has such, or by what is
 * usual. */
int32_t format_resolve(Failure* failure, clipfree_picture* picture, const clipfree_picture* from);
