// What clipfree.h and clipfree_opencl.h promise, for OpenCL devices.
#include "clipfree_opencl.h"
#include "host.h"
#include "libc.h"
#include "network.h"

#define PLAN clipfree_network

void *calloc(size_t count, size_t size);
void free(void *memory);

static Geometry geometry(void) {
  return (Geometry){PLAN.channels, (uint32_t)PLAN.scale, (uint32_t)PLAN.over, (uint32_t)PLAN.unit,
                    (uint32_t)PLAN.smallest_height, (uint32_t)PLAN.smallest_width};
}

int32_t clipfree_describe(clipfree_info *info) {
  const Geometry own = geometry();
  if (!info) return CLIPFREE_NULL;
  if (info->size < sizeof *info) return CLIPFREE_WRONG_ABI;
  *info = (clipfree_info){info->size, CLIPFREE_ABI, own.channels, own.scale_num, own.scale_den, own.unit,
                          own.smallest_height, own.smallest_width, PLAN.name, PLAN.target, PLAN.version};
  return CLIPFREE_OK;
}

int32_t clipfree_result_size(uint32_t height, uint32_t width, uint32_t *result_height, uint32_t *result_width) {
  const Geometry own = geometry();
  Failure failure = {0};
  if (!result_height || !result_width) return CLIPFREE_NULL;
  const int32_t status = geometry_check(&own, &failure, height, width);
  if (status) return status;
  *result_height = (uint32_t)geometry_scaled(&own, height);
  *result_width = (uint32_t)geometry_scaled(&own, width);
  return CLIPFREE_OK;
}

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

static int32_t upscale(clipfree *self, const clipfree_picture *source, const clipfree_picture *result, double *seconds) {
  struct caller *const caller = host_caller(self);
  const Geometry own = geometry();
  const uint32_t height = geometry_extended(&own, source->height), width = geometry_extended(&own, source->width);
  const int whole = height == source->height && width == source->width;
  const uint64_t size = (uint64_t)height * width * (uint64_t)own.channels;
  const uint64_t made = geometry_scaled(&own, height) * geometry_scaled(&own, width) * (uint64_t)own.channels;
  const uint8_t *pixels = source->planes[0];
  uint8_t *place = result->planes[0];
  char said[CLIPFREE_MESSAGE];
  if (!host_allocate(self, (int)height, (int)width, said)) return fail(&caller->failure, CLIPFREE_NO_MEMORY, "%s", said);
  if (!whole || !picture_is_packed(source, own.channels)) {
    uint8_t *const copy = room(&caller->failure, &caller->pixels, &caller->pixels_size, size);
    if (!copy) return CLIPFREE_NO_MEMORY;
    picture_read(source, copy, height, width);
    pixels = copy;
  }
  const int direct = whole && picture_is_packed(result, own.channels);
  if (!direct) place = room(&caller->failure, &caller->result, &caller->result_size, made);
  if (!place) return CLIPFREE_NO_MEMORY;
  if (!host_run(self, pixels, place, seconds, said)) return fail(&caller->failure, CLIPFREE_FAILED, "%s", said);
  if (!direct) picture_write(result, place, geometry_scaled(&own, width));
  return CLIPFREE_OK;
}

// Take the network for the calling thread, which gives it back by setting `busy` to 0.
static int32_t enter(clipfree *self) {
  if (!self) return CLIPFREE_NULL;
  if (atomic_exchange(&host_caller(self)->busy, 1)) return CLIPFREE_BUSY;
  failure_clear(&host_caller(self)->failure);
  return CLIPFREE_OK;
}

int32_t clipfree_upscale_timed(clipfree *self, const clipfree_picture *source, const clipfree_picture *result,
                               double *seconds) {
  const clipfree_picture *given[2] = {source, result};
  const Geometry own = geometry();
  clipfree_picture pictures[2];
  int32_t status = enter(self);
  if (status) return status;
  status = pictures_check(&own, &host_caller(self)->failure, given, pictures);
  if (!status) status = upscale(self, &pictures[0], &pictures[1], seconds);
  atomic_store(&host_caller(self)->busy, 0);
  return status;
}

int32_t clipfree_upscale(clipfree *self, const clipfree_picture *source, const clipfree_picture *result) {
  return clipfree_upscale_timed(self, source, result, NULL);
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
             ((uint64_t)tall * wide + geometry_scaled(&own, tall) * geometry_scaled(&own, wide)) * (uint64_t)own.channels;
  atomic_store(&host_caller(self)->busy, 0);
  return status;
}
