// What clipfree.h and clipfree_opencl.h promise, for OpenCL devices.
#include "about.h"
#include "clipfree_opencl.h"
#include "host.h"
#include "libc.h"
#include "network.h"

#define PLAN clipfree_network

void *calloc(size_t count, size_t size);
void free(void *memory);

static Geometry geometry(void) {
  return (Geometry){PLAN.channels, (uint32_t)PLAN.scale, (uint32_t)PLAN.over, (uint32_t)PLAN.unit,
                    (uint32_t)PLAN.smallest_height, (uint32_t)PLAN.smallest_width, (uint32_t)PLAN.halo};
}

About about_library(void) { return (About){PLAN.name, PLAN.target, PLAN.version, geometry()}; }

int32_t clipfree_open(clipfree **network, const clipfree_options *given, char message[CLIPFREE_MESSAGE]) {
  char said[CLIPFREE_MESSAGE] = "";
  Failure failure = {0};
  clipfree_options options = {0};
  int32_t status = CLIPFREE_OK;
  if (!network) status = fail_null(&failure, "where the network is to be put");
  else *network = NULL;
  if (!status && given) status = structure_read(&failure, &options, sizeof options, given, sizeof options);
  if (!status && (options.device < CLIPFREE_ANY_DEVICE || options.device > CLIPFREE_CPU))
    status = fail(&failure, CLIPFREE_WRONG_OPTION, "there is no kind of device of this number");
  if (!status && !(*network = host_open(options.driver, options.device, said)))
    status = fail(&failure, CLIPFREE_NO_DEVICE, "%s", said);
  if (message) memcpy(message, failure.text, sizeof failure.text);
  return status;
}

int32_t clipfree_close(clipfree *self) {
  if (!self) return CLIPFREE_OK;
  if (atomic_exchange(&host_caller(self)->busy, 1)) return CLIPFREE_BUSY;
  host_close(self);
  return CLIPFREE_OK;
}

const char *clipfree_error(const clipfree *self) {
  return self ? host_caller((clipfree *)self)->failure.text : clipfree_message(CLIPFREE_NULL);
}

// -- upscaling ------------------------------------------------------------------------------------------------------

// Room for packed pixels; what was there may be gone.
static uint8_t *room(Failure *failure, uint8_t **kept, size_t *size, uint64_t bytes) {
  if (*size < bytes) {
    free(*kept);
    *kept = bytes > PTRDIFF_MAX ? NULL : calloc((size_t)bytes, 1);
    *size = *kept ? (size_t)bytes : 0;
  }
  if (!*kept) fail_memory(failure);
  return *kept;
}

static int32_t upscale(clipfree *self, const clipfree_picture pictures[2], const clipfree_region *region,
                       double *seconds) {
  struct caller *const caller = host_caller(self);
  Failure *const failure = &caller->failure;
  Conversion *const conversion = &caller->conversion;
  const Geometry own = geometry();
  const clipfree_picture *const source = &pictures[0], *const result = &pictures[1];
  const uint64_t bytes = conversion_plan(conversion, &own, pictures, region, 1);
  const uint32_t height = conversion->height, width = conversion->width;
  const uint64_t tall = geometry_scaled(&own, height), wide = geometry_scaled(&own, width);
  const int whole = height == source->height && width == source->width && height == region->height && width == region->width;
  const int reads = !whole || !picture_is_packed(source, own.channels);
  const int writes = !whole || !picture_is_packed(result, own.channels);
  const uint8_t *pixels = source->planes[0];
  uint8_t *place = result->planes[0];
  char said[CLIPFREE_MESSAGE];
  if (!host_allocate(self, (int)height, (int)width, said)) return fail(failure, CLIPFREE_NO_MEMORY, "%s", said);
  if (reads || writes) {
    uint8_t *const memory = room(failure, &caller->converting, &caller->converting_size, bytes);
    if (!memory) return CLIPFREE_NO_MEMORY;
    conversion_place(conversion, memory);
  }
  if (reads) {
    uint8_t *const copy = room(failure, &caller->pixels, &caller->pixels_size, (uint64_t)height * width * (uint64_t)own.channels);
    if (!copy) return CLIPFREE_NO_MEMORY;
    conversion_read(conversion, 0, 0, height, copy);
    pixels = copy;
  }
  if (writes) place = room(failure, &caller->result, &caller->result_size, tall * wide * (uint64_t)own.channels);
  if (!place) return CLIPFREE_NO_MEMORY;
  if (!host_run(self, pixels, place, seconds, said)) return fail(failure, CLIPFREE_FAILED, "%s", said);
  if (writes) conversion_write(conversion, 0, 0, result->height, place, (int64_t)wide);
  return CLIPFREE_OK;
}

// Take the network for the calling thread, which gives it back by setting `busy` to 0.
static int32_t enter(clipfree *self) {
  if (!self) return CLIPFREE_NULL;
  if (atomic_exchange(&host_caller(self)->busy, 1)) return CLIPFREE_BUSY;
  failure_clear(&host_caller(self)->failure);
  return CLIPFREE_OK;
}

static int32_t upscale_region(clipfree *self, const clipfree_picture *source, const clipfree_region *wanted,
                              const clipfree_picture *result, double *seconds) {
  const clipfree_picture *given[2] = {source, result};
  const Geometry own = geometry();
  clipfree_picture pictures[2];
  clipfree_region region;
  int32_t status = enter(self);
  if (status) return status;
  status = pictures_check(&own, &host_caller(self)->failure, given, wanted, pictures, &region);
  if (!status) status = upscale(self, pictures, &region, seconds);
  atomic_store(&host_caller(self)->busy, 0);
  return status;
}

int32_t clipfree_upscale_timed(clipfree *self, const clipfree_picture *source, const clipfree_picture *result,
                               double *seconds) {
  return upscale_region(self, source, NULL, result, seconds);
}

int32_t clipfree_upscale_region(clipfree *self, const clipfree_picture *source, const clipfree_region *region,
                                const clipfree_picture *result) {
  return upscale_region(self, source, region, result, NULL);
}

int32_t clipfree_upscale(clipfree *self, const clipfree_picture *source, const clipfree_picture *result) {
  return upscale_region(self, source, NULL, result, NULL);
}

int32_t clipfree_memory(clipfree *self, uint32_t height, uint32_t width, uint64_t *bytes) {
  const Geometry own = geometry();
  if (!bytes) return CLIPFREE_NULL;
  int32_t status = enter(self);
  if (status) return status;
  status = geometry_check(&own, &host_caller(self)->failure, height, width);
  const uint32_t tall = geometry_extended(&own, height), wide = geometry_extended(&own, width);
  if (!status)
    *bytes = host_memory(self, (int)tall, (int)wide) +
             ((uint64_t)tall * wide + geometry_scaled(&own, tall) * geometry_scaled(&own, wide)) * (uint64_t)own.channels +
             conversion_most(&own, height, width, 1);
  atomic_store(&host_caller(self)->busy, 0);
  return status;
}
