/* What clipfree.h promises, for CPUs. */
#include "../../native/libc.h"
#include "host.h"
#include "processor.h"

enum { kMostThreads = 256 };
enum { kLeastOptions = sizeof(clipfree_options), kLeastInfo = sizeof(clipfree_info) }; /* of version 1 */

int32_t clipfree_describe(clipfree_info* info) {
  const Geometry* const geometry = &clipfree_network.geometry;
  if (!info) return CLIPFREE_NULL;
  if (info->size < kLeastInfo) return CLIPFREE_WRONG_ABI;
  *info = (clipfree_info){
    info->size, CLIPFREE_ABI, geometry->channels, geometry->scale_num, geometry->scale_den, geometry->unit,
    geometry->smallest_height, geometry->smallest_width, clipfree_network.name, clipfree_network.target,
    clipfree_network.version,
  };
  return CLIPFREE_OK;
}

int32_t clipfree_result_size(uint32_t height, uint32_t width, uint32_t* result_height, uint32_t* result_width) {
  const Geometry* const geometry = &clipfree_network.geometry;
  Failure failure = {0};
  if (!result_height || !result_width) return CLIPFREE_NULL;
  const int32_t status = geometry_check(geometry, &failure, height, width);
  if (status) return status;
  *result_height = (uint32_t)geometry_scaled(geometry, height);
  *result_width = (uint32_t)geometry_scaled(geometry, width);
  return CLIPFREE_OK;
}

/* -- opening and closing ---------------------------------------------------------------------------------------------- */

static int32_t wrong_option(Failure* failure, const char* sentence) {
  return fail(failure, CLIPFREE_WRONG_OPTION, "%s", sentence);
}

static int32_t check_options(Failure* failure, const clipfree_options* options) {
  if (!options->allocate != !options->release)
    return wrong_option(failure, "an allocator has two functions, here is one of them");
  if (options->threads > kMostThreads) return fail(failure, CLIPFREE_WRONG_OPTION, "there are at most %d threads", kMostThreads);
  if (options->core_count && !options->cores) return fail_null(failure, "the list of cores");
  if (options->core_count > kMostCores) return wrong_option(failure, "there are more cores than are known");
  for (uint32_t i = 0; i < options->core_count; ++i)
    if (options->cores[i] >= kMostCores) return wrong_option(failure, "there is no core of this number");
  return CLIPFREE_OK;
}

/* Threads, and what each has to itself. */
static int32_t start(clipfree* self, const clipfree_options* options) {
  Pool* const pool = &self->pool;
  pool->threads = options->threads ? options->threads : platform_cores();
  if (pool->threads > kMostThreads) pool->threads = kMostThreads;
  pool->parallel_for = options->parallel_for, pool->pool = options->pool;
  pool->pins = options->core_count > 0;
  for (uint32_t i = 0; i < options->core_count; ++i) pool->cores[options->cores[i] / 8] |= (uint8_t)(1 << options->cores[i] % 8);
  self->shares = memory_take(&self->memory, pool->threads * sizeof *self->shares);
  if (!self->shares) return fail_memory(&self->failure);
  for (uint32_t i = 0; i < pool->threads; ++i) self->shares[i].network = self;
  if (platform_prepare()) return fail(&self->failure, CLIPFREE_NO_THREADS, "the system has no more values of threads");
  switch (pool_start(pool, &self->memory)) {
    case kStarted: return CLIPFREE_OK;
    case kNoRoom: return fail_memory(&self->failure);
    case kNoCores: return wrong_option(&self->failure, "threads cannot be kept to these cores");
    default: return fail(&self->failure, CLIPFREE_NO_THREADS, "%lu threads cannot be started", (unsigned long)pool->threads);
  }
}

static int32_t open_with(clipfree* self, const clipfree_options* options) {
  const char* const lacking = processor_lacks(clipfree_network.processor);
  if (lacking)
    return fail(&self->failure, CLIPFREE_WRONG_CPU, "this processor lacks %s, which the library uses", lacking);
  if (clipfree_network.lacks)
    return fail(&self->failure, CLIPFREE_UNSUPPORTED, "the network needs %s, which only TVM's runtime has",
                clipfree_network.lacks);
  const int32_t status = machine_open(self);
  return status ? status : start(self, options);
}

static void end(clipfree* self) {
  pool_stop(&self->pool);
  Memory memory = self->memory; /* of which the network itself is a piece */
  memory_end(&memory);
}

int32_t clipfree_open(clipfree** network, const clipfree_options* given, char message[CLIPFREE_MESSAGE]) {
  Failure failure = {0};
  clipfree_options options = {0};
  int32_t status = CLIPFREE_OK;
  clipfree* self = NULL;
  if (!network) status = fail_null(&failure, "where the network is to be put");
  else *network = NULL;
  if (!status && given) status = structure_read(&failure, &options, sizeof options, given, kLeastOptions);
  if (!status) status = check_options(&failure, &options);
  if (!status) {
    Memory memory = {platform_allocate, platform_release, NULL, 0, NULL};
    if (options.allocate) memory = (Memory){options.allocate, options.release, options.allocator, 0, NULL};
    self = memory_take(&memory, sizeof *self);
    if (self) self->memory = memory;
    status = self ? open_with(self, &options) : fail_memory(&failure);
  }
  if (status && self) {
    memcpy(failure.text, self->failure.text, sizeof failure.text);
    end(self);
  }
  if (message) memcpy(message, failure.text, sizeof failure.text);
  if (!status) *network = self;
  return status;
}

int32_t clipfree_close(clipfree* self) {
  if (!self) return CLIPFREE_OK;
  if (atomic_exchange(&self->busy, 1)) return CLIPFREE_BUSY;
  end(self);
  return CLIPFREE_OK;
}

const char* clipfree_error(const clipfree* self) { return self ? self->failure.text : clipfree_message(CLIPFREE_NULL); }

/* -- upscaling ---------------------------------------------------------------------------------------------------------- */

/* The place in `kept` for so many bytes, larger than before if need be. */
static uint8_t* room(clipfree* self, uint8_t** kept, uint64_t bytes) {
  if (!*kept || memory_size(*kept) < bytes) {
    memory_give(&self->memory, *kept);
    *kept = memory_take_raw(&self->memory, bytes);
    if (!*kept) fail_memory(&self->failure);
  }
  return *kept;
}

/* Whether kernels can read or write a caller's pixels where they are. */
static int is_usable(const clipfree_picture* picture) {
  return picture_is_packed(picture, clipfree_network.geometry.channels) &&
         (clipfree_network.streams || (uintptr_t)picture->planes[0] % kAlignment == 0);
}

static int32_t upscale(clipfree* self, const clipfree_picture* source, const clipfree_picture* result) {
  const Geometry* const geometry = &clipfree_network.geometry;
  const uint32_t height = geometry_extended(geometry, source->height), width = geometry_extended(geometry, source->width);
  const int whole = height == source->height && width == source->width;
  const uint8_t* pixels = source->planes[0];
  const Tensor* made;
  if (!whole || !is_usable(source)) {
    uint8_t* const copy = room(self, &self->extended, (uint64_t)height * width * (uint64_t)geometry->channels);
    if (!copy) return CLIPFREE_NO_MEMORY;
    picture_read(source, copy, height, width);
    pixels = copy;
  }
  void* const place = whole && is_usable(result) ? result->planes[0] : NULL;
  const int32_t status = machine_run(self, pixels, height, width, place, &made);
  if (status) return status;
  if (made->shape[0] != (int64_t)geometry_scaled(geometry, height) || made->shape[1] != (int64_t)geometry_scaled(geometry, width) ||
      made->shape[2] != geometry->channels)
    return fail(&self->failure, CLIPFREE_DAMAGED, "the network makes a picture of another size than it says");
  if (made->data != result->planes[0]) picture_write(result, made->data, (uint64_t)made->shape[1]);
  return CLIPFREE_OK;
}

int32_t clipfree_upscale(clipfree* self, const clipfree_picture* source, const clipfree_picture* result) {
  const clipfree_picture* given[2] = {source, result};
  clipfree_picture pictures[2];
  if (!self) return CLIPFREE_NULL;
  if (atomic_exchange(&self->busy, 1)) return CLIPFREE_BUSY;
  failure_clear(&self->failure);
  int32_t status = pictures_check(&clipfree_network.geometry, &self->failure, given, pictures);
  if (!status) status = upscale(self, &pictures[0], &pictures[1]);
  atomic_store(&self->busy, 0);
  return status;
}

int32_t clipfree_memory(clipfree* self, uint32_t height, uint32_t width, uint64_t* bytes) {
  const Geometry* const geometry = &clipfree_network.geometry;
  if (!self || !bytes) return CLIPFREE_NULL;
  if (atomic_exchange(&self->busy, 1)) return CLIPFREE_BUSY;
  failure_clear(&self->failure);
  int32_t status = geometry_check(geometry, &self->failure, height, width);
  if (!status) {
    const uint64_t tall = geometry_extended(geometry, height), wide = geometry_extended(geometry, width);
    status = machine_count(self, (int64_t)tall, (int64_t)wide, bytes);
    *bytes += tall * wide * (uint64_t)geometry->channels + kAlignment;
  }
  atomic_store(&self->busy, 0);
  return status;
}
