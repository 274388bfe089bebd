/* What clipfree.h promises, for CPUs. */
#include "../../native/about.h"
#include "../../native/libc.h"
#include "host.h"
#include "processor.h"

enum { kMostThreads = 256 };
enum { kLeastOptions = sizeof(clipfree_options) }; /* of version 1 */

About about_library(void) {
  const Network* const network = &clipfree_network;
  return (About){network->name, network->target, network->version, network->geometry};
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

/* A picture on its way in, or a result on its way out: what each thread does of it. */
typedef struct {
  const Conversion* conversion;
  uint8_t* pixels;
  const Tensor* made;
} Work;

static void read_part(void* argument, uint32_t lane) {
  const Work* const work = argument;
  const Part part = conversion_part(work->conversion, lane, work->conversion->height);
  conversion_read(work->conversion, lane, part.first, part.end, work->pixels);
}

static void write_part(void* argument, uint32_t lane) {
  const Work* const work = argument;
  const Part part = conversion_part(work->conversion, lane, work->conversion->result.height);
  conversion_write(work->conversion, lane, part.first, part.end, work->made->data, work->made->shape[1]);
}

/* Have room for what is converted on the way. */
static int32_t prepare(clipfree* self, uint64_t bytes, int reads, int writes) {
  const Conversion* const conversion = &self->conversion;
  const uint64_t size = (uint64_t)conversion->height * conversion->width * (uint64_t)conversion->geometry.channels;
  if (reads && !room(self, &self->extended, size)) return CLIPFREE_NO_MEMORY;
  if (!reads && !writes) return CLIPFREE_OK;
  uint8_t* const place = room(self, &self->converting, bytes);
  if (!place) return CLIPFREE_NO_MEMORY;
  conversion_place(&self->conversion, place);
  return CLIPFREE_OK;
}

static int32_t upscale(clipfree* self, const clipfree_picture pictures[2], const clipfree_region* region) {
  const Geometry* const geometry = &clipfree_network.geometry;
  const clipfree_picture *const source = &pictures[0], *const result = &pictures[1];
  Conversion* const conversion = &self->conversion;
  const uint64_t bytes = conversion_plan(conversion, geometry, pictures, region, self->pool.threads);
  const uint32_t height = conversion->height, width = conversion->width;
  const int whole = height == region->height && width == region->width; /* not extended, and without a halo */
  const int reads = !whole || height != source->height || width != source->width || !is_usable(source);
  const int writes = !whole || !is_usable(result);
  int32_t status = prepare(self, bytes, reads, writes);
  if (status) return status;
  Work work = {conversion, self->extended, NULL};
  if (reads) pool_run(&self->pool, read_part, &work);
  status = machine_run(self, reads ? work.pixels : source->planes[0], height, width, writes ? NULL : result->planes[0],
                       &work.made);
  if (status) return status;
  if (work.made->shape[0] != (int64_t)geometry_scaled(geometry, height) ||
      work.made->shape[1] != (int64_t)geometry_scaled(geometry, width) || work.made->shape[2] != geometry->channels)
    return fail(&self->failure, CLIPFREE_DAMAGED, "the network makes a picture of another size than it says");
  if (writes) pool_run(&self->pool, write_part, &work);
  else if (work.made->data != result->planes[0]) /* another tensor shares the result's memory */
    memcpy(result->planes[0], work.made->data, (size_t)result->height * result->width * (size_t)geometry->channels);
  return CLIPFREE_OK;
}

int32_t clipfree_upscale_region(clipfree* self, const clipfree_picture* source, const clipfree_region* wanted,
                                const clipfree_picture* result) {
  const clipfree_picture* given[2] = {source, result};
  clipfree_picture pictures[2];
  clipfree_region region;
  if (!self) return CLIPFREE_NULL;
  if (atomic_exchange(&self->busy, 1)) return CLIPFREE_BUSY;
  failure_clear(&self->failure);
  int32_t status = pictures_check(&clipfree_network.geometry, &self->failure, given, wanted, pictures, &region);
  if (!status) status = upscale(self, pictures, &region);
  atomic_store(&self->busy, 0);
  return status;
}

int32_t clipfree_upscale(clipfree* self, const clipfree_picture* source, const clipfree_picture* result) {
  return clipfree_upscale_region(self, source, NULL, result);
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
    *bytes += tall * wide * (uint64_t)geometry->channels + conversion_most(geometry, height, width, self->pool.threads) +
              2 * kAlignment;
  }
  atomic_store(&self->busy, 0);
  return status;
}
