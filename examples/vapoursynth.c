/* A VapourSynth filter that runs any bundle's model.so: core.clipfree.Upscale(clip, "model.clipfree/model.so").
 *
 *     include=$(python -c 'import vapoursynth; print(vapoursynth.get_include())')
 *     cc -O2 -shared -fPIC -Iout/model.clipfree -I"$include" examples/vapoursynth.c -o clipfree.so -ldl -lpthread
 *
 * Clips are RGB24, GRAY8, YUV420P8 or YUV420P10, whatever the network sees, and stay what they are: of luma and chroma, a
 * network of luma enlarges the first, and the second bicubically; one of RGB gets colours by the frame's matrix, range and
 * place of chroma, in `_Matrix`, `_Range` (once `_ColorRange`) and `_ChromaLocation`. Frames are made side by side, each by a network of
 * its own: `streams` says by how many (default: as many as VapourSynth has threads, over `threads`), `threads` how many
 * threads each has (default: 1, which makes the most frames a second).
 *
 * Source: VapourSynth4.h. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <VSConstants4.h>
#include <VapourSynth4.h>

#include "clipfree.h"

enum { MOST = 256, TEXT = CLIPFREE_MESSAGE + 64 };

typedef struct filter {
  VSNode *node;
  VSVideoInfo video; /* of the result */
  void *library;
  const clipfree_functions *functions;
  int format; /* of pictures, a clipfree_format */
  int count; /* networks that are open */
  clipfree *networks[MOST];
  int idle; /* of these nobody is using, the first so many */
  pthread_mutex_t mutex;
  pthread_cond_t returned;
} filter;

static clipfree *take(filter *self) {
  pthread_mutex_lock(&self->mutex);
  while (self->idle == 0) pthread_cond_wait(&self->returned, &self->mutex);
  clipfree *network = self->networks[--self->idle];
  pthread_mutex_unlock(&self->mutex);
  return network;
}

static void give_back(filter *self, clipfree *network) {
  pthread_mutex_lock(&self->mutex);
  self->networks[self->idle++] = network;
  pthread_cond_signal(&self->returned);
  pthread_mutex_unlock(&self->mutex);
}

/* What a frame says of its luma and chroma, and 0 where it says nothing. Returns NULL, or what there is no way to convert. */
static const char *describe(const VSFrame *frame, clipfree_picture *picture, const VSAPI *api) {
  const VSMap *said = api->getFramePropertiesRO(frame);
  int absent;
  switch (api->mapGetIntSaturated(said, "_Matrix", 0, &absent)) {
    case VSC_MATRIX_RGB: /* what is returned where nothing is said */
    case VSC_MATRIX_UNSPECIFIED: break;
    case VSC_MATRIX_BT709: picture->matrix = CLIPFREE_BT709; break;
    case VSC_MATRIX_BT470_BG:
    case VSC_MATRIX_ST170_M: picture->matrix = CLIPFREE_BT601; break;
    case VSC_MATRIX_BT2020_NCL: picture->matrix = CLIPFREE_BT2020; break;
    default: return "clipfree: the matrix of luma and chroma must be BT.601, BT.709 or BT.2020";
  }
  const int range = api->mapGetIntSaturated(said, "_Range", 0, &absent);
  if (!absent) picture->range = range ? CLIPFREE_FULL : CLIPFREE_LIMITED;
  const int older = api->mapGetIntSaturated(said, "_ColorRange", 0, &absent);
  if (!absent) picture->range = older == VSC_RANGE_FULL ? CLIPFREE_FULL : CLIPFREE_LIMITED;
  switch (api->mapGetIntSaturated(said, "_ChromaLocation", 0, &absent)) {
    case VSC_CHROMA_LEFT: break; /* the usual place, too */
    case VSC_CHROMA_CENTER: picture->site = CLIPFREE_CENTRE; break;
    case VSC_CHROMA_TOP_LEFT: picture->site = CLIPFREE_TOP_LEFT; break;
    default: return "clipfree: chroma must lie on the left, in the centre or at the top left of its pixels";
  }
  return NULL;
}

/* A frame as clipfree sees it: its planes where VapourSynth has them. */
static clipfree_picture picture(const filter *self, VSFrame *written, const VSFrame *read, const VSAPI *api) {
  clipfree_picture found;
  memset(&found, 0, sizeof found);
  found.size = sizeof found;
  found.format = self->format;
  found.height = (uint32_t)api->getFrameHeight(written ? written : read, 0);
  found.width = (uint32_t)api->getFrameWidth(written ? written : read, 0);
  for (int plane = 0; plane < self->video.format.numPlanes; plane++) {
    /* The source is not written to, see clipfree_upscale. */
    found.planes[plane] = written ? api->getWritePtr(written, plane) : (void *)api->getReadPtr(read, plane);
    found.strides[plane] = api->getStride(written ? written : read, plane);
  }
  return found;
}

static const VSFrame *VS_CC get_frame(int number, int reason, void *data, void **frame_data, VSFrameContext *context,
                                      VSCore *core, const VSAPI *api) {
  filter *self = data;
  (void)frame_data;
  if (reason == arInitial) api->requestFrameFilter(number, self->node, context);
  if (reason != arAllFramesReady) return NULL;
  const VSFrame *small = api->getFrameFilter(number, self->node, context);
  VSFrame *large = api->newVideoFrame(&self->video.format, self->video.width, self->video.height, small, core);
  clipfree_picture source = picture(self, NULL, small, api), result = picture(self, large, NULL, api);
  const char *odd = self->video.format.colorFamily == cfYUV ? describe(small, &source, api) : NULL;
  if (odd) {
    api->setFilterError(odd, context);
    api->freeFrame(large);
    api->freeFrame(small);
    return NULL;
  }
  clipfree *network = take(self);
  if (self->functions->upscale(network, &source, &result)) {
    char text[TEXT];
    snprintf(text, sizeof text, "clipfree: %s", self->functions->error(network));
    api->setFilterError(text, context);
    api->freeFrame(large);
    large = NULL;
  }
  give_back(self, network);
  api->freeFrame(small);
  return large;
}

static void VS_CC release(void *data, VSCore *core, const VSAPI *api) {
  filter *self = data;
  (void)core;
  for (int index = 0; index < self->count; index++) self->functions->close(self->networks[index]);
  if (self->node) api->freeNode(self->node);
  if (self->library) dlclose(self->library);
  pthread_cond_destroy(&self->returned);
  pthread_mutex_destroy(&self->mutex);
  free(self);
}

/* Load the library and see what it is; returns whether that went well, else says why not. */
static int load(filter *self, const char *path, clipfree_info *info, char text[TEXT]) {
  self->library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!self->library) {
    snprintf(text, TEXT, "clipfree: %.400s", dlerror());
    return 0;
  }
  const clipfree_functions *(*get)(uint32_t) =
      (const clipfree_functions *(*)(uint32_t))dlsym(self->library, "clipfree_get_functions");
  self->functions = get ? get(CLIPFREE_ABI) : NULL;
  if (!self->functions) {
    snprintf(text, TEXT, "clipfree: %.400s is no network's library of this version", path);
    return 0;
  }
  info->size = sizeof *info;
  const int32_t status = self->functions->describe(info);
  if (status) snprintf(text, TEXT, "clipfree: %s", self->functions->message(status));
  return status == 0;
}

/* See whether the network takes such a clip, and how large the result is. */
static int fit(filter *self, char text[TEXT]) {
  VSVideoInfo *video = &self->video;
  const VSVideoFormat *format = &video->format;
  const int halved = format->subSamplingW == 1 && format->subSamplingH == 1;
  if (format->sampleType == stInteger && format->bitsPerSample == 8)
    self->format = format->colorFamily == cfRGB    ? CLIPFREE_PLANAR
                   : format->colorFamily == cfGray ? CLIPFREE_GREY
                   : halved                        ? CLIPFREE_I420
                                                   : 0;
  if (format->sampleType == stInteger && format->bitsPerSample == 10 && halved) self->format = CLIPFREE_I010;
  if (!self->format || video->width <= 0 || video->height <= 0) {
    snprintf(text, TEXT, "clipfree: clips are RGB24, GRAY8, YUV420P8 or YUV420P10, and of one size");
    return 0;
  }
  uint32_t height, width;
  const int32_t status =
      self->functions->result_size((uint32_t)video->height, (uint32_t)video->width, &height, &width);
  if (status) snprintf(text, TEXT, "clipfree: %s", self->functions->message(status));
  if (status == 0 && halved && (height | width) & 1) {
    snprintf(text, TEXT, "clipfree: the result would be %ux%u, which YUV420 cannot be: enlarge RGB24", width, height);
    return 0;
  }
  video->height = (int)height;
  video->width = (int)width;
  return status == 0;
}

static int open_all(filter *self, int streams, int threads, char text[TEXT]) {
  clipfree_options options;
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.threads = (uint32_t)threads;
  for (; self->count < streams; self->count++) {
    char message[CLIPFREE_MESSAGE];
    if (self->functions->open(&self->networks[self->count], &options, message)) {
      snprintf(text, TEXT, "clipfree: %s", message);
      return 0;
    }
  }
  self->idle = self->count;
  return 1;
}

static void VS_CC create(const VSMap *in, VSMap *out, void *unused, VSCore *core, const VSAPI *api) {
  (void)unused;
  char text[TEXT] = "clipfree: there is not enough memory";
  VSCoreInfo about;
  api->getCoreInfo(core, &about);
  int absent;
  const int threads_given = api->mapGetIntSaturated(in, "threads", 0, &absent), threads = absent ? 1 : threads_given;
  const int streams_given = api->mapGetIntSaturated(in, "streams", 0, &absent);
  const int usual = about.numThreads > threads && threads > 0 ? about.numThreads / threads : 1;
  const int streams = !absent ? streams_given : usual < MOST ? usual : MOST;
  if (threads < 1 || threads > MOST || streams < 1 || streams > MOST) {
    api->mapSetError(out, "clipfree: threads and streams are 1 to 256");
    return;
  }
  filter *self = calloc(1, sizeof *self);
  clipfree_info info;
  if (!self) {
    api->mapSetError(out, text);
    return;
  }
  pthread_mutex_init(&self->mutex, NULL);
  pthread_cond_init(&self->returned, NULL);
  self->node = api->mapGetNode(in, "clip", 0, NULL);
  self->video = *api->getVideoInfo(self->node);
  if (!load(self, api->mapGetData(in, "library", 0, NULL), &info, text) || !fit(self, text) ||
      !open_all(self, streams, threads, text)) {
    api->mapSetError(out, text);
    release(self, core, api);
    return;
  }
  const VSFilterDependency needs[] = {{self->node, rpStrictSpatial}};
  api->createVideoFilter(out, "Upscale", &self->video, get_frame, release, fmParallel, needs, 1, self, core);
}

VS_EXTERNAL_API(void) VapourSynthPluginInit2(VSPlugin *plugin, const VSPLUGINAPI *api) {
  api->configPlugin("org.clipfree.upscale", "clipfree", "INT8 super-resolution networks", VS_MAKE_VERSION(1, 0),
                    VAPOURSYNTH_API_VERSION, 0, plugin);
  api->registerFunction("Upscale", "clip:vnode;library:data;threads:int:opt;streams:int:opt;", "clip:vnode;", create,
                        NULL, plugin);
}
