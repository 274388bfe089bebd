/* Pictures of callers: whether they are what a network takes and makes, and their way into packed pixels and back. */
#pragma once

#include "failure.h"

/* Which pictures a network takes, and how large the ones are that it makes: as `clipfree_info` has it. */
typedef struct {
  int32_t channels;
  uint32_t scale_num, scale_den, unit, smallest_height, smallest_width;
} Geometry;

/* A side that is extended to the unit, and what becomes of a side. */
uint32_t geometry_extended(const Geometry* geometry, uint32_t side);
uint64_t geometry_scaled(const Geometry* geometry, uint32_t side);

/* See that the network takes pictures of a size. */
int32_t geometry_check(const Geometry* geometry, Failure* failure, uint32_t height, uint32_t width);

/* Take what the caller says of a source and its result, if both are right. */
int32_t pictures_check(const Geometry* geometry, Failure* failure, const clipfree_picture* sources[2],
                       clipfree_picture pictures[2]);

/* Whether pixels lie in memory as a network wants them. */
int picture_is_packed(const clipfree_picture* picture, int32_t channels);

/* Copy a picture into height x width packed pixels, extended by copies of its last row and column; and the upper left of
 * packed pixels, `width` of them in a row, into a picture. */
void picture_read(const clipfree_picture* picture, uint8_t* pixels, uint32_t height, uint32_t width);
void picture_write(const clipfree_picture* picture, const uint8_t* pixels, uint64_t width);
