/* Pictures of callers: whether they are what a network takes and makes, and which part of them is wanted. */
#pragma once

#include "formats.h"

/* Which pictures a network takes, and how large the ones are that it makes: as `clipfree_info` has it. */
typedef struct {
  int32_t channels;
  uint32_t scale_num, scale_den, unit, smallest_height, smallest_width;
  uint32_t halo; /* CLIPFREE_LARGEST: the network looks at whole pictures */
} Geometry;

/* A side that is extended to the unit, and what becomes of a side. */
uint32_t geometry_extended(const Geometry* geometry, uint32_t side);
uint64_t geometry_scaled(const Geometry* geometry, uint32_t side);

/* See that the network takes pictures of a size. */
int32_t geometry_check(const Geometry* geometry, Failure* failure, uint32_t height, uint32_t width);

/* Take what the caller says of a source, the region of it that is wanted (NULL: all of it), and its result, if they are
 * right. */
int32_t pictures_check(const Geometry* geometry, Failure* failure, const clipfree_picture* given[2],
                       const clipfree_region* wanted, clipfree_picture pictures[2], clipfree_region* region);

/* Whether pixels lie in memory as a network wants them. */
int picture_is_packed(const clipfree_picture* picture, int32_t channels);
