#include "picture.h"

#include "libc.h"

typedef struct {
  int32_t planes, samples; /* samples: bytes of a pixel in a plane */
} Layout;

/* How a format lies in memory; no planes where there is no such format. */
static Layout layout_of(int32_t format) {
  switch (format) {
    case CLIPFREE_GREY: return (Layout){1, 1};
    case CLIPFREE_RGB: case CLIPFREE_BGR: return (Layout){1, 3};
    case CLIPFREE_PLANAR: return (Layout){3, 1};
    default: return (Layout){0, 0};
  }
}

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

/* The size of a plane's rows, and that of all of it from the first byte in memory to the last, counted without signs. */
typedef struct { const char *begin, *end; } Span;

static int32_t check_planes(Failure* failure, const clipfree_picture* picture, const char* which, Span spans[3]) {
  const Layout layout = layout_of(picture->format);
  for (int32_t plane = 0; plane < layout.planes; ++plane) {
    char* const pixels = picture->planes[plane];
    const ptrdiff_t stride = picture->strides[plane], row = (ptrdiff_t)picture->width * layout.samples;
    const uint32_t below = picture->height - 1;
    if (!pixels) return fail(failure, CLIPFREE_NULL, "plane %d of the %s is a null pointer", (int)plane, which);
    if ((stride < 0 ? stride > -row : stride < row) || stride == PTRDIFF_MIN)
      return fail(failure, CLIPFREE_WRONG_STRIDE, "rows of the %s are %td bytes apart and have %td", which, stride, row);
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

static int32_t check_format(const Geometry* geometry, Failure* failure, const clipfree_picture* picture, const char* which) {
  const Layout layout = layout_of(picture->format);
  if (!layout.planes) return fail(failure, CLIPFREE_WRONG_FORMAT, "the %s has no format that is known", which);
  if (layout.planes * layout.samples == geometry->channels) return CLIPFREE_OK;
  return fail(failure, CLIPFREE_WRONG_FORMAT, "the %s has %d channels, the network takes %d", which,
              (int)(layout.planes * layout.samples), (int)geometry->channels);
}

int32_t pictures_check(const Geometry* geometry, Failure* failure, const clipfree_picture* given[2],
                       clipfree_picture pictures[2]) {
  static const char* const names[2] = {"source", "result"};
  Span spans[2][3] = {{{NULL, NULL}}};
  for (int which = 0; which < 2; ++which) {
    if (!given[which]) return fail_null(failure, names[which]);
    const int32_t status = structure_read(failure, &pictures[which], sizeof pictures[which], given[which], sizeof *given[which]);
    if (status) return status;
  }
  const clipfree_picture *source = &pictures[0], *result = &pictures[1];
  const int32_t status = geometry_check(geometry, failure, source->height, source->width);
  if (status) return status;
  const uint64_t height = geometry_scaled(geometry, source->height), width = geometry_scaled(geometry, source->width);
  if (result->height != height || result->width != width)
    return fail(failure, CLIPFREE_WRONG_SIZE, "the result has %lu x %lu pixels, of this source it gets %lu x %lu",
                (unsigned long)result->width, (unsigned long)result->height, (unsigned long)width, (unsigned long)height);
  for (int which = 0; which < 2; ++which) {
    int32_t wrong = check_format(geometry, failure, &pictures[which], names[which]);
    if (!wrong) wrong = check_planes(failure, &pictures[which], names[which], spans[which]);
    if (wrong) return wrong;
  }
  for (int one = 0; one < 3; ++one)
    for (int other = 0; other < 3; ++other)
      if (spans[0][one].begin < spans[1][other].end && spans[1][other].begin < spans[0][one].end)
        return fail(failure, CLIPFREE_OVERLAP, "the result lies in the memory of the source");
  return CLIPFREE_OK;
}

int picture_is_packed(const clipfree_picture* picture, int32_t channels) {
  return (picture->format == CLIPFREE_RGB || picture->format == CLIPFREE_GREY) &&
         picture->strides[0] == (ptrdiff_t)picture->width * channels;
}

static void read_row(const clipfree_picture* picture, uint32_t row, uint8_t* to) {
  const uint8_t* from[3] = {NULL};
  for (int plane = 0; plane < layout_of(picture->format).planes; ++plane)
    from[plane] = (const uint8_t*)picture->planes[plane] + picture->strides[plane] * (ptrdiff_t)row;
  const size_t width = picture->width;
  switch (picture->format) {
    case CLIPFREE_BGR:
      for (size_t x = 0; x < width; ++x)
        for (size_t c = 0; c < 3; ++c) to[3 * x + c] = from[0][3 * x + 2 - c];
      break;
    case CLIPFREE_PLANAR:
      for (size_t x = 0; x < width; ++x)
        for (size_t c = 0; c < 3; ++c) to[3 * x + c] = from[c][x];
      break;
    default: memcpy(to, from[0], picture->format == CLIPFREE_GREY ? width : 3 * width);
  }
}

void picture_read(const clipfree_picture* picture, uint8_t* pixels, uint32_t height, uint32_t width) {
  const Layout layout = layout_of(picture->format);
  const size_t channels = (size_t)layout.planes * (size_t)layout.samples, row = width * channels;
  for (uint32_t y = 0; y < height; ++y, pixels += row) {
    if (y >= picture->height) {
      memcpy(pixels, pixels - row, row);
      continue;
    }
    read_row(picture, y, pixels);
    for (size_t x = picture->width * channels; x < row; ++x) pixels[x] = pixels[x - channels];
  }
}

void picture_write(const clipfree_picture* picture, const uint8_t* pixels, uint64_t width) {
  const Layout layout = layout_of(picture->format);
  const size_t row = (size_t)width * (size_t)layout.planes * (size_t)layout.samples, own = picture->width;
  for (uint32_t y = 0; y < picture->height; ++y, pixels += row) {
    uint8_t* to[3] = {NULL};
    for (int plane = 0; plane < layout.planes; ++plane)
      to[plane] = (uint8_t*)picture->planes[plane] + picture->strides[plane] * (ptrdiff_t)y;
    switch (picture->format) {
      case CLIPFREE_BGR:
        for (size_t x = 0; x < own; ++x)
          for (size_t c = 0; c < 3; ++c) to[0][3 * x + 2 - c] = pixels[3 * x + c];
        break;
      case CLIPFREE_PLANAR:
        for (size_t x = 0; x < own; ++x)
          for (size_t c = 0; c < 3; ++c) to[c][x] = pixels[3 * x + c];
        break;
      default: memcpy(to[0], pixels, picture->format == CLIPFREE_GREY ? own : 3 * own);
    }
  }
}
