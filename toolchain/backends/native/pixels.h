/* Bytes of pixels in another order, many at a time: of three bytes, of four, and in planes. */
#pragma once

#include <stdint.h>

/* Pixels of three bytes into such, red and blue in each other's place. */
void pixels_swap(const uint8_t* from, int64_t count, uint8_t* to);

/* Of three bytes into four, and the other way; `swapped`: red and blue change places. `alpha`: NULL for opaque. */
void pixels_widen(const uint8_t* rgb, int32_t swapped, const uint8_t* alpha, int64_t count, uint8_t* to);
void pixels_narrow(const uint8_t* from, int32_t swapped, int64_t count, uint8_t* rgb);

/* Into three planes, and out of them. */
void pixels_split(const uint8_t* rgb, int64_t count, uint8_t* red, uint8_t* green, uint8_t* blue);
void pixels_join(const uint8_t* red, const uint8_t* green, const uint8_t* blue, int64_t count, uint8_t* rgb);
