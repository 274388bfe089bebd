#include "formats.h"

Format format_of(int32_t format) {
  switch (format) {
    case CLIPFREE_GREY: return (Format){kGrey, 1, {1}, 1, 8, 0, {{0, 0}, {0, 0}, {0, 0}}, 0};
    case CLIPFREE_RGB: return (Format){kColour, 1, {3}, 1, 8, 0, {{0, 0}, {0, 1}, {0, 2}}, 0};
    case CLIPFREE_BGR: return (Format){kColour, 1, {3}, 1, 8, 0, {{0, 2}, {0, 1}, {0, 0}}, 0};
    case CLIPFREE_PLANAR: return (Format){kColour, 3, {1, 1, 1}, 1, 8, 0, {{0, 0}, {1, 0}, {2, 0}}, 0};
    case CLIPFREE_RGBA: return (Format){kColour, 1, {4}, 1, 8, 0, {{0, 0}, {0, 1}, {0, 2}, {0, 3}}, 1};
    case CLIPFREE_BGRA: return (Format){kColour, 1, {4}, 1, 8, 0, {{0, 2}, {0, 1}, {0, 0}, {0, 3}}, 1};
    case CLIPFREE_NV12: return (Format){kLuma, 2, {1, 2}, 1, 8, 0, {{0, 0}, {1, 0}, {1, 1}}, 0};
    case CLIPFREE_NV21: return (Format){kLuma, 2, {1, 2}, 1, 8, 0, {{0, 0}, {1, 1}, {1, 0}}, 0};
    case CLIPFREE_I420: return (Format){kLuma, 3, {1, 1, 1}, 1, 8, 0, {{0, 0}, {1, 0}, {2, 0}}, 0};
    case CLIPFREE_P010: return (Format){kLuma, 2, {1, 2}, 2, 10, 6, {{0, 0}, {1, 0}, {1, 1}}, 0};
    case CLIPFREE_I010: return (Format){kLuma, 3, {1, 1, 1}, 2, 10, 0, {{0, 0}, {1, 0}, {2, 0}}, 0};
    default: return (Format){0};
  }
}

uint32_t format_side(const Format* format, int32_t plane, uint32_t side) {
  return format->family == kLuma && plane ? side / 2 + side % 2 : side;
}

uint8_t* format_sample(const Format* format, const clipfree_picture* picture, int32_t channel, int64_t row, int64_t column) {
  const Place place = format->channels[channel];
  const int64_t sample = column * format->samples[place.plane] + place.sample;
  return (uint8_t*)picture->planes[place.plane] + picture->strides[place.plane] * (ptrdiff_t)row +
         (ptrdiff_t)sample * format->bytes;
}

int32_t format_resolve(Failure* failure, clipfree_picture* picture, const clipfree_picture* from) {
  if (picture->unused) return fail(failure, CLIPFREE_WRONG_ABI, "a picture asks for what a newer version of clipfree has");
  if (picture->matrix < CLIPFREE_USUAL_MATRIX || picture->matrix > CLIPFREE_BT2020 ||
      picture->range < CLIPFREE_USUAL_RANGE || picture->range > CLIPFREE_FULL ||
      picture->site < CLIPFREE_USUAL_SITE || picture->site > CLIPFREE_TOP_LEFT)
    return fail(failure, CLIPFREE_WRONG_FORMAT, "a picture has a matrix, range or site of chroma that is not known");
  if (from && format_of(from->format).family == kLuma) {
    if (!picture->matrix) picture->matrix = from->matrix;
    if (!picture->range) picture->range = from->range;
    if (!picture->site) picture->site = from->site;
  }
  if (!picture->matrix) picture->matrix = picture->width >= 1280 || picture->height > 576 ? CLIPFREE_BT709 : CLIPFREE_BT601;
  if (!picture->range) picture->range = CLIPFREE_LIMITED;
  if (!picture->site) picture->site = CLIPFREE_LEFT;
  return CLIPFREE_OK;
}
