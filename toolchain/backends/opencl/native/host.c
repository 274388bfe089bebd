// Runs the launch plan of network.c.
#include "host.h"

#include "clipfree_opencl.h"
#include "driver.h"
#include "network.h"
#include "tensors.h"

#define PLAN clipfree_network

// Of the C library, whose headers need not be there where this is compiled.
struct moment {
  long seconds, nanoseconds;
};
enum { MONOTONIC = 1 };  // as Linux numbers its clocks
int clock_gettime(int clock, struct moment *moment);

struct clipfree {
  struct driver cl;
  struct device device;
  cl_context context;
  cl_command_queue queue;
  cl_kernel *kernels;  // one a launch
  cl_event *events;    // the same
  size_t (*groups)[3];  // work-groups of each launch, as the device can run them
  cl_mem *memory;      // picture, result, buffers, constants
  int height, width;   // of the picture that the buffers are for; 0: there are none
  struct caller caller;
};

static int failed(const struct clipfree *self, char *message, const char *doing, int32_t code) {
  return clipfree_say(message, "%s cannot %s: OpenCL error %d", self->device.name, doing, (int)code);
}

static size_t items(const struct extent *extent, const int32_t *numbers) {
  const size_t size = (size_t)(extent->number < 0 ? 1 : numbers[extent->number]) + extent->plus;
  return (size + extent->per - 1) / extent->per * extent->times;
}

static size_t pitch(int width) {
  return ((size_t)width + PLAN.columns - 1) / PLAN.columns * PLAN.columns + 2 * (size_t)PLAN.side;
}

// What becomes of a side of the picture; what does not fit into a tensor in any case is as good as any other that does not.
static int changed(int side, const struct change *change, int count) {
  int64_t found = side / PLAN.unit;
  for (; count; --count, ++change) {
    const int64_t number = found * change->times + change->plus;
    found = number / change->per - (number % change->per < 0);
    if (found > 1 << 30) found = 1 << 30;
    if (found < -(1 << 30)) found = -(1 << 30);
  }
  return (int)found;
}

static int rows(int height, int size) { return changed(height, PLAN.sizes[size].height, PLAN.sizes[size].heights); }
static int columns(int width, int size) { return changed(width, PLAN.sizes[size].width, PLAN.sizes[size].widths); }

// Bytes of an element of a buffer: two are a float16.
static int32_t element(const struct clipfree *self, const struct buffer *buffer) {
  return buffer->bytes == 2 && !self->device.halves ? 4 : buffer->bytes;
}

// The first line of what a driver says that tells an error, else the first; ends it there.
static const char *first_error(char *text) {
  char *first = text;
  for (char *line = text; *line; ) {
    char *end = line;
    int tells = 0;
    for (; *end && *end != '\n'; ++end)
      tells |= end[0] == 'e' && end[1] == 'r' && end[2] == 'r' && end[3] == 'o' && end[4] == 'r';
    const int last = !*end;
    *end = 0;
    if (tells) return line;
    if (last) break;
    line = end + 1;
  }
  return first;
}

// The work-group that a device runs in place of the planned one: no kernel asks for its place in one. Halved along z, then
// y, then x: neighbours along x share cache lines.
static void fit(const size_t planned[3], size_t most, const size_t along[3], size_t group[3]) {
  for (int axis = 0; axis < 3; ++axis) {
    group[axis] = planned[axis] < along[axis] ? planned[axis] : along[axis];
    if (!group[axis]) group[axis] = 1;
  }
  for (int axis = 2; axis >= 0; --axis)
    while (group[axis] > 1 && group[0] * group[1] * group[2] > most) group[axis] /= 2;
}

static int build(struct clipfree *self, int at, char *message) {
  const struct driver *cl = &self->cl;
  const struct launch *launch = &PLAN.launches[at];
  const char *source = launch->source;
  int32_t code = 0;
  cl_program program = cl->clCreateProgramWithSource(self->context, 1, &source, NULL, &code);
  if (!program) return failed(self, message, "take a kernel's source", code);
  // Integer dot products exist in OpenCL C 3.0 only, which every device of OpenCL 3 has; the default is 1.2.
  char options[64];
  snprintf(options, sizeof options, "%s %s", self->device.version >= 3 ? "-cl-std=CL3.0" : "",
           self->device.halves ? "" : "-DFLOAT32_TENSORS");
  code = cl->clBuildProgram(program, 1, &self->device.id, options, NULL, NULL);
  if (!code) self->kernels[at] = cl->clCreateKernel(program, launch->kernel, &code);
  if (code) {
    static const size_t most = 1 << 16;
    char *said = calloc(1, most + 1);
    if (said && code == CL_FAILED_BUILD)
      cl->clGetProgramBuildInfo(program, self->device.id, CL_PROGRAM_BUILD_LOG, most, said, NULL);
    clipfree_say(message, "%s cannot build the kernel %s: OpenCL error %d%s%s", self->device.name, launch->kernel,
                 (int)code, said && *said ? ": " : "", said ? first_error(said) : "");
    free(said);
  }
  cl->clReleaseProgram(program);
  if (code) return 0;
  size_t most = 0;
  code = cl->clGetKernelWorkGroupInfo(self->kernels[at], self->device.id, CL_KERNEL_WORK_GROUP_SIZE, sizeof most, &most,
                                      NULL);
  if (code) return failed(self, message, "tell a kernel's work-groups", code);
  fit(launch->group, most, self->device.items, self->groups[at]);
  return 1;
}

// Say in the device's name that float16 is not stored where it should be.
static void tell_halves(struct clipfree *self) {
  size_t length = 0;
  while (self->device.name[length]) ++length;
  for (int at = 0; at < PLAN.buffer_count; ++at)
    if (element(self, &PLAN.buffers[at]) != PLAN.buffers[at].bytes)
      snprintf(self->device.name + length, sizeof self->device.name - length,
               ", without cl_khr_fp16: tensors are float32");
}

static cl_mem *constants(const struct clipfree *self) { return self->memory + 2 + PLAN.buffer_count; }

static int prepare(struct clipfree *self, char *message) {
  const struct driver *cl = &self->cl;
  int32_t code = 0;
  self->kernels = calloc(PLAN.launch_count, sizeof *self->kernels);
  self->events = calloc(PLAN.launch_count, sizeof *self->events);
  self->groups = calloc(PLAN.launch_count, sizeof *self->groups);
  self->memory = calloc(2 + PLAN.buffer_count + PLAN.constant_count, sizeof *self->memory);
  if (!self->kernels || !self->events || !self->groups || !self->memory) return clipfree_say(message, "there is no memory left");
  self->context = cl->clCreateContext(NULL, 1, &self->device.id, NULL, NULL, &code);
  if (!self->context) return failed(self, message, "be used", code);
  self->queue = cl->clCreateCommandQueue(self->context, self->device.id, CL_QUEUE_PROFILING, &code);
  if (!self->queue) return failed(self, message, "be given work", code);
  for (int at = 0; at < PLAN.launch_count; ++at)
    if (!build(self, at, message)) return 0;
  for (int at = 0; at < PLAN.constant_count; ++at) {
    const struct constant *constant = &PLAN.constants[at];
    constants(self)[at] = cl->clCreateBuffer(self->context, CL_MEM_READ_ONLY | CL_MEM_COPY_HOST, constant->bytes,
                                             (void *)(PLAN.data + constant->offset), &code);
    if (code) return failed(self, message, "hold the weights", code);
  }
  return 1;
}

struct clipfree *host_open(const char *driver, int32_t kind, char message[CLIPFREE_MESSAGE]) {
  struct clipfree *self = calloc(1, sizeof *self);
  if (!self) {
    clipfree_say(message, "there is no memory left");
    return NULL;
  }
  if (clipfree_load_driver(&self->cl, driver, message) &&
      clipfree_find_device(&self->cl, kind, &self->device, message) && prepare(self, message)) {
    tell_halves(self);
    return self;
  }
  host_close(self);
  return NULL;
}

static void forget_buffers(struct clipfree *self) {
  self->height = self->width = 0;
  for (int at = 0; at < 2 + PLAN.buffer_count; ++at)
    if (self->memory[at]) self->cl.clReleaseMemObject(self->memory[at]);
  for (int at = 0; at < 2 + PLAN.buffer_count; ++at) self->memory[at] = NULL;
}

// Fill a buffer of so many rows and bytes with what surrounds the picture: bytes, or the two bytes of codes of 16 bits.
static int32_t fill(struct clipfree *self, const struct buffer *buffer, cl_mem memory, int count, size_t size) {
  const unsigned char bytes[] = {(unsigned char)buffer->zero_point, (unsigned char)buffer->low};
  const int parts = bytes[0] == bytes[1] ? 1 : 2 * count;
  int32_t code = 0;
  for (int part = 0; part < parts && !code; ++part)
    code = self->cl.clEnqueueFillBuffer(self->queue, memory, &bytes[part % 2], 1, size / parts * part, size / parts, 0, NULL,
                                        NULL);
  return code;
}

// Bytes of the picture (0), the result (1), or a buffer, for a picture of a size.
static uint64_t bytes_of(const struct clipfree *self, int at, int height, int width) {
  const struct buffer *buffer = &PLAN.buffers[at - 2];
  if (at == 0) return (uint64_t)height * (uint64_t)width * PLAN.channels;
  if (at == 1) return (uint64_t)height * PLAN.scale / PLAN.over * ((uint64_t)width * PLAN.scale / PLAN.over) * PLAN.channels;
  return ((uint64_t)rows(height, buffer->size) + 2 * PLAN.margin) * buffer->blocks * pitch(columns(width, buffer->size)) *
         element(self, buffer);
}

uint64_t host_memory(const struct clipfree *self, int height, int width) {
  uint64_t bytes = 0;
  for (int at = 0; at < 2 + PLAN.buffer_count; ++at) bytes += bytes_of(self, at, height, width);
  return bytes;
}

int host_allocate(struct clipfree *self, int height, int width, char message[CLIPFREE_MESSAGE]) {
  if (self->height == height && self->width == width) return 1;
  forget_buffers(self);
  for (int at = 0; at < PLAN.buffer_count; ++at)
    if (rows(height, PLAN.buffers[at].size) < 1 || columns(width, PLAN.buffers[at].size) < 1)
      return clipfree_say(message, "of %d x %d pixels nothing is left within this network", width, height);
  for (int at = 0; at < 2 + PLAN.buffer_count; ++at) {
    const struct buffer *buffer = at < 2 ? NULL : &PLAN.buffers[at - 2];
    const uint64_t size = bytes_of(self, at, height, width);
    if (size > self->device.largest || size >> 31) {
      forget_buffers(self);
      return clipfree_say(message, "%s cannot hold a tensor of %.0f MB; use smaller tiles", self->device.name,
                          (double)size / 1e6);
    }
    int32_t code = 0;
    self->memory[at] = self->cl.clCreateBuffer(self->context, CL_MEM_READ_WRITE, size, NULL, &code);
    if (!code && buffer) code = fill(self, buffer, self->memory[at], rows(height, buffer->size) + 2 * PLAN.margin, size);
    if (code) {
      forget_buffers(self);
      return clipfree_say(message, "%s has too little memory for %d x %d pixels: OpenCL error %d; use smaller tiles",
                          self->device.name, width, height, (int)code);
    }
  }
  self->height = height;
  self->width = width;
  return 1;
}

static int32_t enqueue(struct clipfree *self, int at, cl_event *event) {
  const struct launch *launch = &PLAN.launches[at];
  int32_t numbers[ARGUMENT_PICTURE];
  for (int written = 0; written < 2; ++written) {
    const int size = written ? launch->result : launch->size, width = columns(self->width, size);
    int32_t *three = numbers + (written ? ARGUMENT_ROWS : ARGUMENT_HEIGHT);
    three[0] = rows(self->height, size);
    three[1] = (int32_t)pitch(width);
    three[2] = width;
  }
  int32_t code = 0;
  for (int place = 0; place < launch->count && !code; ++place) {
    const int argument = launch->arguments[place];
    code = argument < ARGUMENT_PICTURE
               ? self->cl.clSetKernelArg(self->kernels[at], place, sizeof(int32_t), &numbers[argument])
               : self->cl.clSetKernelArg(self->kernels[at], place, sizeof(cl_mem), &self->memory[argument - ARGUMENT_PICTURE]);
  }
  size_t global[3];
  for (int axis = 0; axis < 3; ++axis) {
    const size_t group = self->groups[at][axis];
    global[axis] = (items(&launch->work[axis], numbers) + group - 1) / group * group;
  }
  return code ? code : self->cl.clEnqueueNDRangeKernel(self->queue, self->kernels[at], 3, NULL, global,
                                                       self->groups[at], 0, NULL, event);
}

static double now(void) {
  struct moment moment = {0, 0};
  clock_gettime(MONOTONIC, &moment);
  return (double)moment.seconds + (double)moment.nanoseconds * 1e-9;
}

// Seconds of every launch whose event is there, since `began` here; waits for them, and releases the events.
static void read_events(struct clipfree *self, double began, double *seconds) {
  for (int at = 0; at < PLAN.launch_count; ++at) {
    uint64_t start = 0, end = 0;
    if (!self->events[at]) continue;
    self->cl.clWaitForEvents(1, &self->events[at]);
    const double ended = now();
    self->cl.clGetEventProfilingInfo(self->events[at], CL_PROFILING_START, sizeof start, &start, NULL);
    self->cl.clGetEventProfilingInfo(self->events[at], CL_PROFILING_END, sizeof end, &end, NULL);
    // Mesa's rusticl on a processor has no clock: it numbers the moments of an event 0, 1, 2, 3.
    seconds[at] = end - start > 3 ? (double)(end - start) * 1e-9 : ended - began;
    began = ended;
    self->cl.clReleaseEvent(self->events[at]);
    self->events[at] = NULL;
  }
}

int host_run(struct clipfree *self, const unsigned char *pixels, unsigned char *result, double *seconds,
             char message[CLIPFREE_MESSAGE]) {
  const struct driver *cl = &self->cl;
  const int height = self->height, width = self->width;
  const size_t size = (size_t)height * (size_t)width * PLAN.channels;
  int32_t code = cl->clEnqueueWriteBuffer(self->queue, self->memory[0], 0, 0, size, pixels, 0, NULL, NULL);
  if (code) return failed(self, message, "take the picture", code);
  const double began = now();
  for (int at = 0; at < PLAN.launch_count && !code; ++at) {
    code = enqueue(self, at, seconds ? &self->events[at] : NULL);
    if (code)
      clipfree_say(message, "%s cannot launch the kernel %s: OpenCL error %d", self->device.name,
                   PLAN.launches[at].kernel, (int)code);
  }
  const int launched = !code;
  if (seconds) read_events(self, began, seconds);
  if (launched)
    code = cl->clEnqueueReadBuffer(self->queue, self->memory[1], 1, 0, bytes_of(self, 1, height, width), result, 0, NULL,
                                   NULL);
  else
    cl->clFinish(self->queue);  // `pixels` may still be read
  if (launched && code) failed(self, message, "run the network", code);
  return !code;
}

int clipfree_give(struct clipfree *self, int buffer, const void *bytes, size_t size, char message[CLIPFREE_MESSAGE]) {
  if (buffer < 0 || buffer >= PLAN.buffer_count) return clipfree_say(message, "there is no buffer %d", buffer);
  cl_mem *memory = &self->memory[2 + buffer];
  if (*memory) self->cl.clReleaseMemObject(*memory);
  int32_t code = 0;
  *memory = self->cl.clCreateBuffer(self->context, CL_MEM_READ_WRITE | CL_MEM_COPY_HOST, size, (void *)bytes, &code);
  self->height = self->width = 0;  // `host_allocate` makes its own
  return code ? failed(self, message, "hold a tensor", code) : 1;
}

int clipfree_take(struct clipfree *self, int buffer, void *bytes, size_t size, char message[CLIPFREE_MESSAGE]) {
  if (buffer < 0 || buffer >= PLAN.buffer_count) return clipfree_say(message, "there is no buffer %d", buffer);
  const int32_t code =
      self->cl.clEnqueueReadBuffer(self->queue, self->memory[2 + buffer], 1, 0, size, bytes, 0, NULL, NULL);
  return code ? failed(self, message, "give a tensor back", code) : 1;
}

int clipfree_launch(struct clipfree *self, int height, int width, double *seconds, char message[CLIPFREE_MESSAGE]) {
  int32_t code = 0;
  for (int at = 0; at < PLAN.launch_count; ++at)  // what would be timed is another cut
    for (int axis = 0; axis < 3; ++axis)
      if (self->groups[at][axis] != PLAN.launches[at].group[axis])
        return clipfree_say(message, "%s runs at most %zu work-items of %s together along %c", self->device.name,
                            self->groups[at][axis], PLAN.launches[at].kernel, "xyz"[axis]);
  self->height = height;
  self->width = width;
  const double began = now();
  for (int at = 0; at < PLAN.launch_count && !code; ++at) code = enqueue(self, at, &self->events[at]);
  self->height = self->width = 0;
  read_events(self, began, seconds);
  const int32_t ended = self->cl.clFinish(self->queue);
  return code || ended ? failed(self, message, "run the kernel", code ? code : ended) : 1;
}

void host_close(struct clipfree *self) {
  if (!self) return;
  const struct driver *cl = &self->cl;
  for (int at = 0; self->kernels && at < PLAN.launch_count; ++at)
    if (self->kernels[at]) cl->clReleaseKernel(self->kernels[at]);
  if (self->memory) {
    forget_buffers(self);
    for (int at = 0; at < PLAN.constant_count; ++at)
      if (constants(self)[at]) cl->clReleaseMemObject(constants(self)[at]);
  }
  if (self->queue) cl->clReleaseCommandQueue(self->queue);
  if (self->context) cl->clReleaseContext(self->context);
  free(self->kernels);
  free(self->events);
  free(self->groups);
  free(self->memory);
  free(self->caller.pixels);
  free(self->caller.result);
  free(self->caller.converting);
  free(self);
}

struct caller *host_caller(struct clipfree *self) { return &self->caller; }

const char *clipfree_device(const struct clipfree *self) { return self->device.name; }
int32_t clipfree_launches(void) { return PLAN.launch_count; }
const char *clipfree_kernel(int32_t launch) { return launch < 0 || launch >= PLAN.launch_count ? NULL : PLAN.launches[launch].kernel; }
