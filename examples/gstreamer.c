/* A GStreamer element that runs any bundle's model.so: clipfreeupscale library=model.clipfree/model.so.
 *
 *     flags=$(pkg-config --cflags --libs gstreamer-video-1.0)
 *     cc -O2 -shared -fPIC -Iout/model.clipfree examples/gstreamer.c -o libgstclipfree.so $flags -ldl
 *     gst-launch-1.0 --gst-plugin-path=. filesrc location=film.mp4 ! decodebin ! videoconvert ! \
 *         clipfreeupscale library=out/model.clipfree/model.so ! videoconvert ! autovideosink
 *
 * Frames keep their format, of which any network takes those below: what it does not see itself, such as the chroma of a
 * network of luma, is enlarged beside it. Sizes are negotiated both ways: what comes out is the network's scale times what
 * comes in. `threads` says how many a frame is cut among (0: as many as there are cores).
 *
 * Source: gstvideofilter.h, gstbasetransform.h. */
#include <dlfcn.h>
#include <string.h>

#include <gst/video/gstvideofilter.h>
#include <gst/video/video.h>

#include "clipfree.h"

#define FORMATS "{ I420, NV12, NV21, RGB, BGR, RGBA, BGRA, GRAY8, I420_10LE, P010_10LE }"

typedef struct Upscale {
  GstVideoFilter parent;
  gchar *path;
  guint threads;
  void *library;
  const clipfree_functions *functions;
  clipfree_info info;
  clipfree *network;
} Upscale;

typedef struct UpscaleClass {
  GstVideoFilterClass parent;
} UpscaleClass;

G_DEFINE_TYPE(Upscale, upscale, GST_TYPE_VIDEO_FILTER)

enum { LIBRARY = 1, THREADS };

static GstStaticPadTemplate sinks =
    GST_STATIC_PAD_TEMPLATE("sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(FORMATS)));
static GstStaticPadTemplate sources =
    GST_STATIC_PAD_TEMPLATE("src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_VIDEO_CAPS_MAKE(FORMATS)));

/* -- the library, while the element runs ---------------------------------------------------------------------------- */

static gboolean stop(GstBaseTransform *base) {
  Upscale *self = (Upscale *)base;
  if (self->network) self->functions->close(self->network);
  if (self->library) dlclose(self->library);
  self->network = NULL;
  self->functions = NULL;
  self->library = NULL;
  return TRUE;
}

/* Load the library and open its network; returns what is wrong, NULL if nothing is. */
static const char *load(Upscale *self, char message[CLIPFREE_MESSAGE]) {
  clipfree_options options;
  if (!self->path) return "the property library names none";
  self->library = dlopen(self->path, RTLD_NOW | RTLD_LOCAL);
  if (!self->library) return dlerror();
  const clipfree_functions *(*get)(uint32_t) =
      (const clipfree_functions *(*)(uint32_t))dlsym(self->library, "clipfree_get_functions");
  self->functions = get ? get(CLIPFREE_ABI) : NULL;
  if (!self->functions) return "it is no network's library of this version";
  memset(&options, 0, sizeof options);
  options.size = sizeof options;
  options.threads = self->threads;
  self->info.size = sizeof self->info;
  const int32_t status = self->functions->describe(&self->info);
  if (status) return self->functions->message(status);
  return self->functions->open(&self->network, &options, message) ? message : NULL;
}

static gboolean start(GstBaseTransform *base) {
  Upscale *self = (Upscale *)base;
  char message[CLIPFREE_MESSAGE];
  const char *wrong = load(self, message);
  if (!wrong) return TRUE;
  GST_ELEMENT_ERROR(self, RESOURCE, OPEN_READ, ("%s: %s", self->path ? self->path : "clipfreeupscale", wrong), (NULL));
  stop(base);
  return FALSE;
}

/* -- sizes and formats: what one side has follows from the other's --------------------------------------------------- */

/* The least and the most pixels on the other side of so many at least and at most. */
static void other_side(const Upscale *self, GstPadDirection direction, gint64 *least, gint64 *most) {
  const gint64 over = self->info.scale_num, under = self->info.scale_den;
  if (direction == GST_PAD_SINK) { /* of frames that come: the sizes of those that go, rounded down */
    *least = *least * over / under;
    *most = *most * over / under;
  } else {
    *least = (*least * under + over - 1) / over;
    *most = ((*most + 1) * under + over - 1) / over - 1;
  }
  if (*least < 1) *least = 1;
  if (*most > G_MAXINT) *most = G_MAXINT;
}

/* Put the other side's pixels along a side into `made`; returns whether there are any. */
static gboolean put_side(const Upscale *self, GstPadDirection direction, const char *name, GstStructure *made) {
  const GValue *value = gst_structure_get_value(made, name);
  gint64 least = 1, most = G_MAXINT;
  if (value && G_VALUE_HOLDS_INT(value)) {
    least = most = g_value_get_int(value);
  } else if (value && GST_VALUE_HOLDS_INT_RANGE(value)) {
    least = gst_value_get_int_range_min(value);
    most = gst_value_get_int_range_max(value);
  }
  other_side(self, direction, &least, &most);
  if (least > most) return FALSE;
  if (least == most)
    gst_structure_set(made, name, G_TYPE_INT, (gint)least, NULL);
  else
    gst_structure_set(made, name, GST_TYPE_INT_RANGE, (gint)least, (gint)most, NULL);
  return TRUE;
}

/* Return what both allow; they are given away. */
static GstCaps *both(GstCaps *caps, GstCaps *limit) {
  GstCaps *found = gst_caps_intersect_full(limit, caps, GST_CAPS_INTERSECT_FIRST);
  gst_caps_unref(caps);
  gst_caps_unref(limit);
  return found;
}

static GstCaps *transform_caps(GstBaseTransform *base, GstPadDirection direction, GstCaps *caps, GstCaps *filter) {
  const Upscale *self = (Upscale *)base;
  GstCaps *result = gst_caps_new_empty();
  if (!self->network) { /* before the element runs nobody knows more */
    gst_caps_unref(result);
    result = gst_static_pad_template_get_caps(direction == GST_PAD_SINK ? &sources : &sinks);
    return filter ? both(result, gst_caps_ref(filter)) : result;
  }
  for (guint index = 0; index < gst_caps_get_size(caps); index++) {
    GstStructure *made = gst_structure_copy(gst_caps_get_structure(caps, index));
    if (put_side(self, direction, "width", made) && put_side(self, direction, "height", made))
      gst_caps_append_structure(result, made);
    else
      gst_structure_free(made);
  }
  return filter ? both(result, gst_caps_ref(filter)) : result;
}

static gboolean set_info(GstVideoFilter *base, GstCaps *in, GstVideoInfo *in_info, GstCaps *out, GstVideoInfo *out_info) {
  Upscale *self = (Upscale *)base;
  uint32_t height = 0, width = 0;
  (void)in, (void)out;
  const int32_t status = self->functions->result_size((uint32_t)GST_VIDEO_INFO_HEIGHT(in_info),
                                                      (uint32_t)GST_VIDEO_INFO_WIDTH(in_info), &height, &width);
  if (status) {
    GST_ELEMENT_ERROR(self, STREAM, FORMAT, ("%s", self->functions->message(status)), (NULL));
    return FALSE;
  }
  return width == (uint32_t)GST_VIDEO_INFO_WIDTH(out_info) && height == (uint32_t)GST_VIDEO_INFO_HEIGHT(out_info);
}

/* -- frames ---------------------------------------------------------------------------------------------------------- */

static int32_t format_of(GstVideoFormat format) {
  switch (format) {
    case GST_VIDEO_FORMAT_I420: return CLIPFREE_I420;
    case GST_VIDEO_FORMAT_NV12: return CLIPFREE_NV12;
    case GST_VIDEO_FORMAT_NV21: return CLIPFREE_NV21;
    case GST_VIDEO_FORMAT_RGB: return CLIPFREE_RGB;
    case GST_VIDEO_FORMAT_BGR: return CLIPFREE_BGR;
    case GST_VIDEO_FORMAT_RGBA: return CLIPFREE_RGBA;
    case GST_VIDEO_FORMAT_BGRA: return CLIPFREE_BGRA;
    case GST_VIDEO_FORMAT_GRAY8: return CLIPFREE_GREY;
    case GST_VIDEO_FORMAT_I420_10LE: return CLIPFREE_I010;
    default: return CLIPFREE_P010;
  }
}

static int32_t matrix_of(GstVideoColorMatrix matrix) {
  switch (matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT601: return CLIPFREE_BT601;
    case GST_VIDEO_COLOR_MATRIX_BT709: return CLIPFREE_BT709;
    case GST_VIDEO_COLOR_MATRIX_BT2020: return CLIPFREE_BT2020;
    default: return CLIPFREE_USUAL_MATRIX;
  }
}

static clipfree_picture picture(const GstVideoFrame *frame) {
  const GstVideoInfo *info = &frame->info;
  const GstVideoChromaSite site = GST_VIDEO_INFO_CHROMA_SITE(info);
  clipfree_picture found;
  memset(&found, 0, sizeof found);
  found.size = sizeof found;
  found.format = format_of(GST_VIDEO_FRAME_FORMAT(frame));
  found.height = (uint32_t)GST_VIDEO_FRAME_HEIGHT(frame);
  found.width = (uint32_t)GST_VIDEO_FRAME_WIDTH(frame);
  for (guint plane = 0; plane < GST_VIDEO_FRAME_N_PLANES(frame); plane++) {
    found.planes[plane] = GST_VIDEO_FRAME_PLANE_DATA(frame, plane);
    found.strides[plane] = GST_VIDEO_FRAME_PLANE_STRIDE(frame, plane);
  }
  found.matrix = matrix_of(info->colorimetry.matrix);
  found.range = info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255 ? CLIPFREE_FULL : CLIPFREE_LIMITED;
  found.site = site == GST_VIDEO_CHROMA_SITE_JPEG      ? CLIPFREE_CENTRE
               : site == GST_VIDEO_CHROMA_SITE_COSITED ? CLIPFREE_TOP_LEFT
                                                       : CLIPFREE_LEFT;
  return found;
}

static GstFlowReturn transform_frame(GstVideoFilter *base, GstVideoFrame *in, GstVideoFrame *out) {
  Upscale *self = (Upscale *)base;
  const clipfree_picture source = picture(in), result = picture(out);
  if (!self->functions->upscale(self->network, &source, &result)) return GST_FLOW_OK;
  GST_ELEMENT_ERROR(self, STREAM, FAILED, ("%s", self->functions->error(self->network)), (NULL));
  return GST_FLOW_ERROR;
}

/* -- the element ----------------------------------------------------------------------------------------------------- */

static void set_property(GObject *object, guint number, const GValue *value, GParamSpec *about) {
  Upscale *self = (Upscale *)object;
  if (number == LIBRARY) {
    g_free(self->path);
    self->path = g_value_dup_string(value);
  } else if (number == THREADS) {
    self->threads = g_value_get_uint(value);
  } else {
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, number, about);
  }
}

static void get_property(GObject *object, guint number, GValue *value, GParamSpec *about) {
  const Upscale *self = (Upscale *)object;
  if (number == LIBRARY)
    g_value_set_string(value, self->path);
  else if (number == THREADS)
    g_value_set_uint(value, self->threads);
  else
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, number, about);
}

static void finalize(GObject *object) {
  stop((GstBaseTransform *)object);
  g_free(((Upscale *)object)->path);
  G_OBJECT_CLASS(upscale_parent_class)->finalize(object);
}

static void upscale_class_init(UpscaleClass *class) {
  GObjectClass *object = G_OBJECT_CLASS(class);
  GstElementClass *element = GST_ELEMENT_CLASS(class);
  GstBaseTransformClass *transform = GST_BASE_TRANSFORM_CLASS(class);
  const GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  object->set_property = set_property;
  object->get_property = get_property;
  object->finalize = finalize;
  g_object_class_install_property(object, LIBRARY,
                                  g_param_spec_string("library", "Library", "model.so of a bundle", NULL, flags));
  g_object_class_install_property(
      object, THREADS,
      g_param_spec_uint("threads", "Threads", "that a frame is cut among; 0: as many as there are cores", 0, 256, 0, flags));
  gst_element_class_set_static_metadata(element, "Super-resolution", "Filter/Converter/Video/Scaler",
                                        "Enlarges frames by an INT8 network", "clipfree");
  gst_element_class_add_static_pad_template(element, &sinks);
  gst_element_class_add_static_pad_template(element, &sources);
  transform->start = start;
  transform->stop = stop;
  transform->transform_caps = transform_caps;
  GST_VIDEO_FILTER_CLASS(class)->set_info = set_info;
  GST_VIDEO_FILTER_CLASS(class)->transform_frame = transform_frame;
}

static void upscale_init(Upscale *self) { (void)self; }

static gboolean plugin_init(GstPlugin *plugin) {
  return gst_element_register(plugin, "clipfreeupscale", GST_RANK_NONE, upscale_get_type());
}

#define PACKAGE "clipfree"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, clipfree, "Super-resolution networks", plugin_init, "1.0",
                  GST_LICENSE_UNKNOWN, "clipfree", "clipfree") /* it has no word for Apache 2.0 */
