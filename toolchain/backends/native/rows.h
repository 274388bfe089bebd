/* Rows of pictures: a channel, or all colours. */
#pragma once

#include "formats.h"

/* Samples of a channel. */
void channel_read(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t column,
                  int64_t count, int16_t* samples);
void channel_write(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t count,
                   const int16_t* samples);
/* The blue and the red difference. */
void chroma_write(const Format* format, const clipfree_picture* picture, int64_t row, int64_t count, const int16_t* blue,
                  const int16_t* red);

/* Packed RGB, of formats that are grey or RGB; and into such, all of a row. `alpha`: NULL for opaque. */
void colours_read(const Format* format, const clipfree_picture* picture, int64_t row, int64_t column, int64_t count,
                  uint8_t* rgb);
void colours_write(const Format* format, const clipfree_picture* picture, int64_t row, int64_t count, const uint8_t* rgb,
                   const uint8_t* alpha);
