#include "picture.h"

uint32_t geometry_extended(const Geometry* geometry, uint32_t side) {
  return (side + geometry->unit - 1) / geometry->unit * geometry->unit;
}

uint64_t geometry_scaled(const Geometry* geometry, uint32_t side) {
  return (uint64_t)side * geometry->scale_num / geometry->scale_den;
}

int32_t geometry_check(const Geometry* geometry, Failure* failure, uint32_t height, uint32_t width) {
  if (height < geometry->smallest_height || width < geometry->smallest_width || !geometry_scaled(geometry, height) ||
      !geometry_scaled(geometry, width))
    return fail(failure, CLIPFREE_WRONG_SIZE, "of %lu x %lu pixels nothing is left within this network, which takes "
                "%lu x %lu at least", (unsigned long)width, (unsigned long)height,
                (unsigned long)geometry->smallest_width, (unsigned long)geometry->smallest_height);
  if (height > CLIPFREE_LARGEST || width > CLIPFREE_LARGEST || geometry_scaled(geometry, height) > CLIPFREE_LARGEST ||
      geometry_scaled(geometry, width) > CLIPFREE_LARGEST)
    return fail(failure, CLIPFREE_WRONG_SIZE, "sides of a picture have more than %d pixels", CLIPFREE_LARGEST);
  return CLIPFREE_OK;
}

/* All of a plane, from the first byte in memory to the last, counted without signs. */
typedef struct { const char *begin, *end; } Span;

static int32_t check_planes(Failure* failure, const clipfree_picture* picture, const char* which, Span spans[3]) {
  const Format format = format_of(picture->format);
  for (int32_t plane = 0; plane < format.planes; ++plane) {
    char* const pixels = picture->planes[plane];
    const ptrdiff_t stride = picture->strides[plane];
    const ptrdiff_t row = (ptrdiff_t)format_side(&format, plane, picture->width) * format.samples[plane] * format.bytes;
    const uint32_t below = format_side(&format, plane, picture->height) - 1;
    if (!pixels) return fail(failure, CLIPFREE_NULL, "plane %d of the %s is a null pointer", (int)plane, which);
    if ((stride < 0 ? stride > -row : stride < row) || stride == PTRDIFF_MIN)
      return fail(failure, CLIPFREE_WRONG_STRIDE, "rows of the %s are %td bytes apart and have %td", which, stride, row);
    if (((uintptr_t)pixels | (uintptr_t)stride) % format.bytes)
      return fail(failure, CLIPFREE_WRONG_STRIDE, "words of plane %d of the %s lie at odd addresses", (int)plane, which);
    const uintptr_t size = stride < 0 ? 0 - (uintptr_t)stride : (uintptr_t)stride;
    uintptr_t reach, end;
    if (__builtin_mul_overflow(size, (uintptr_t)below, &reach) || reach > PTRDIFF_MAX - (uintptr_t)row ||
        (stride < 0 ? (uintptr_t)pixels < reach : __builtin_add_overflow((uintptr_t)pixels, reach + row, &end)))
      return fail(failure, CLIPFREE_WRONG_STRIDE, "rows of the %s reach beyond what can be addressed", which);
    spans[plane].begin = stride < 0 ? pixels - reach : pixels;
    spans[plane].end = (stride < 0 ? pixels : pixels + reach) + row;
  }
  return CLIPFREE_OK;
}

static int32_t check_region(Failure* failure, const clipfree_picture* source, const clipfree_region* wanted,
                            clipfree_region* region) {
  *region = (clipfree_region){sizeof *region, 0, 0, source->height, source->width};
  if (!wanted) return CLIPFREE_OK;
  const int32_t status = structure_read(failure, region, sizeof *region, wanted, sizeof *region);
  if (status) return status;
  if (region->height && region->width && region->height <= source->height && region->width <= source->width &&
      region->top <= source->height - region->height && region->left <= source->width - region->width)
    return CLIPFREE_OK;
  return fail(failure, CLIPFREE_WRONG_SIZE, "the region is empty, or reaches beyond the source");
}

/* The result's size is that of the region's part of what becomes of all of the source. */
static int32_t check_result(const Geometry* geometry, Failure* failure, const clipfree_region* region,
                            const clipfree_picture* result) {
  const uint64_t top = geometry_scaled(geometry, region->top), left = geometry_scaled(geometry, region->left);
  const uint64_t height = geometry_scaled(geometry, region->top + region->height) - top;
  const uint64_t width = geometry_scaled(geometry, region->left + region->width) - left;
  if (!height || !width) return fail(failure, CLIPFREE_WRONG_SIZE, "nothing becomes of the region");
  if (result->height != height || result->width != width)
    return fail(failure, CLIPFREE_WRONG_SIZE, "the result has %lu x %lu pixels, of this source it gets %lu x %lu",
                (unsigned long)result->width, (unsigned long)result->height, (unsigned long)width, (unsigned long)height);
  if (format_of(result->format).family == kLuma && (top % 2 || left % 2))
    return fail(failure, CLIPFREE_WRONG_SIZE, "the region's result begins at %lu, %lu, amid pixels that share a chroma",
                (unsigned long)left, (unsigned long)top);
  return CLIPFREE_OK;
}

int32_t pictures_check(const Geometry* geometry, Failure* failure, const clipfree_picture* given[2],
                       const clipfree_region* wanted, clipfree_picture pictures[2], clipfree_region* region) {
  static const char* const names[2] = {"source", "result"};
  const size_t least = offsetof(clipfree_picture, matrix);
  Span spans[2][3] = {{{NULL, NULL}}};
  for (int which = 0; which < 2; ++which) {
    if (!given[which]) return fail_null(failure, names[which]);
    const int32_t status = structure_read(failure, &pictures[which], sizeof pictures[which], given[which], least);
    if (status) return status;
  }
  clipfree_picture *const source = &pictures[0], *const result = &pictures[1];
  int32_t status = geometry_check(geometry, failure, source->height, source->width);
  if (!status) status = check_region(failure, source, wanted, region);
  if (!status) status = check_result(geometry, failure, region, result);
  for (int which = 0; which < 2 && !status; ++which) {
    if (!format_of(pictures[which].format).family)
      return fail(failure, CLIPFREE_WRONG_FORMAT, "the %s has no format that is known", names[which]);
    status = format_resolve(failure, &pictures[which], which ? source : NULL);
    if (!status) status = check_planes(failure, &pictures[which], names[which], spans[which]);
  }
  if (status) return status;
  for (int one = 0; one < 3; ++one)
    for (int other = 0; other < 3; ++other)
      if (spans[0][one].begin < spans[1][other].end && spans[1][other].begin < spans[0][one].end)
        return fail(failure, CLIPFREE_OVERLAP, "the result lies in the memory of the source");
  return CLIPFREE_OK;
}

int picture_is_packed(const clipfree_picture* picture, int32_t channels) {
  return picture->format == (channels == 3 ? CLIPFREE_RGB : CLIPFREE_GREY) &&
         picture->strides[0] == (ptrdiff_t)picture->width * channels;
}
