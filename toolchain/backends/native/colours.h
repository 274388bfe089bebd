/* Luma, chroma and RGB, in integers: the arithmetic of clipfree's own commands, byte for byte. */
#pragma once

#include "formats.h"

/* A value that is at least 0 and at most so much: without branches, which would be taken at random. */
static inline int32_t cut_below(int32_t value, int32_t most) {
  const int32_t low = value & ~(value >> 31);
  return low < most ? low : most;
}

/* Numbers with 16 bits behind the point, and what they are added to: sums are rounded once. */
typedef struct { int32_t gain, red_v, green_u, green_v, blue_u, black, middle, most; } ToRgb;
typedef struct { int32_t weights[3][3], zeros[3], bits, depth; } ToYuv; /* of luma, blue and red difference */

/* Of what a picture's luma and chroma stand for, with `bits` a sample, and RGB of so many too or of `depth`. Sources: ITU-R BT.601-7, BT.709-6, BT.2020-2. */
ToRgb colours_to_rgb(const clipfree_picture* picture, int32_t bits);
ToYuv colours_to_yuv(const clipfree_picture* picture, int32_t bits, int32_t depth);

/* RGB in planes that are `stride` apart, with the picture's bits. */
void colours_of_yuv(const ToRgb* way, const int16_t* luma, const int16_t* blue, const int16_t* red, int64_t count,
                    int16_t* planes, int64_t stride);

/* Red, green and blue, each behind the one before, `stride` samples further on: of 16 bits if they are `wide`, else of 8. */
typedef struct { const void* first; int64_t stride; int32_t wide; } Planes;

static inline const void* plane_of(Planes planes, int32_t plane) {
  return (const uint8_t*)planes.first + (plane * planes.stride << planes.wide);
}

/* Luma of them; and, of BT.601 in full range, as Pillow makes pictures grey. All have room for 15 samples more. */
void luma_of_planes(const ToYuv* way, Planes planes, int64_t count, int16_t* made);
void grey_of_planes(Planes planes, int64_t count, int16_t* grey);

/* Chroma of planes that hold sums of two rows, or `down` of four halves of three: of each even column and the one to its
 * right, or `across` of the halves around it. Planes begin with an even column, at a multiple of 4 bytes, before which is
 * another one. */
void chroma_of_sums(const ToYuv* way, int32_t down, int32_t across, const int16_t* sums, int64_t stride, int64_t count,
                    int16_t* blue, int16_t* red);

/* Luma and chroma of JPEG files by Pillow's tables, which have 6 bits behind the point. Source: JFIF 1.02. */
typedef struct { int16_t to[3][3][256], red[256], blue[256], green_u[256], green_v[256]; } Jpeg;
void jpeg_prepare(Jpeg* jpeg);
void jpeg_of_rgb(const Jpeg* jpeg, int32_t channel, const uint8_t* rgb, int64_t count, int16_t* made);
void rgb_of_jpeg(const Jpeg* jpeg, const uint8_t* luma, const int16_t* blue, const int16_t* red, int64_t count, uint8_t* rgb);

/* The upper 8 of so many bits, rounded. */
static inline int32_t upper(int32_t value, int32_t bits) {
  const int32_t low = bits - 8;
  return cut_below((value + (1 << low >> 1)) >> low, 255);
}
