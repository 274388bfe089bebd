/* Pixels as callers have them into those that a network takes, and what it makes into those that callers want: by rows, so
 * that several threads share the work. */
#pragma once

#include "bicubic.h"
#include "colours.h"
#include "picture.h"

/* What a thread works with. */
typedef struct {
  const struct Conversion* conversion;
  Resampler chroma; /* of a source that has less of it than luma, at each pixel */
  Resampler others; /* what the network does not see, enlarged: chroma, then alpha */
  Resampler rest;   /* what 8 bits leave of luma or RGB that has more */
  int64_t others_row, held[4], planes_held[4];
  uint8_t *pixels, *rows[4]; /* RGB of the source; and of the result, the latest rows */
  int16_t *samples, *more, *sums;
  int16_t *wide, *planes[4]; /* channels in planes: of a source with luma and chroma, and of the result, the latest rows */
} Lane;

/* How a network of luma gets it: as the picture has it, whose planes are enlarged each by itself; or by way of RGB. */
typedef enum { kColours, kPlanes, kByColours } Way;

typedef struct Conversion {
  Geometry geometry;
  clipfree_picture source, result;
  Format from, to;
  Way way;
  int32_t chroma, alpha;          /* of `others`: there are such planes */
  int32_t rest;                   /* and so many of what 8 bits leave */
  int64_t top, left;              /* where the result begins in what becomes of the whole source */
  int64_t cover_left, cover;      /* the columns of it that are made RGB */
  int64_t stride;                 /* samples from a plane of a lane's to the next, an even number */
  clipfree_region window;         /* what the network gets of the source */
  uint32_t height, width;         /* the same, extended to the unit */
  Filter filters[3];              /* of a lane's resamplers */
  ToRgb to_rgb;
  ToYuv to_yuv;
  Jpeg* jpeg;
  Lane* lanes;
  uint32_t lane_count;
  const void* memory;             /* that it was placed in */
  uint32_t known[24];             /* what for */
} Conversion;

/* Say what is wanted, of pictures that were checked, by so many threads. Returns the bytes of memory that are needed. */
uint64_t conversion_plan(Conversion* conversion, const Geometry* geometry, const clipfree_picture pictures[2],
                         const clipfree_region* region, uint32_t lanes);

/* Take that much memory, at a multiple of 8. */
void conversion_place(Conversion* conversion, void* memory);

/* Make rows of what the network gets, `width` packed pixels each; the thread is that of a lane. */
void conversion_read(const Conversion* conversion, uint32_t lane, uint32_t first, uint32_t end, uint8_t* pixels);

/* Make rows of the result of what the network has made, `width` packed pixels in a row. `first` is even. */
void conversion_write(const Conversion* conversion, uint32_t lane, uint32_t first, uint32_t end, const uint8_t* made,
                      int64_t width);

/* The rows, of so many, that are a lane's; they begin at even ones. */
typedef struct { uint32_t first, end; } Part;
Part conversion_part(const Conversion* conversion, uint32_t lane, uint32_t rows);

/* Bytes at most for pictures of a size, whatever their formats. */
uint64_t conversion_most(const Geometry* geometry, uint32_t height, uint32_t width, uint32_t lanes);
