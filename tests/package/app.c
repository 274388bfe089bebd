/* Stands for an app on Android: a Java virtual machine that keeps what is registered and thrown, bitmaps, and hardware
 * buffers. `app LIBRARY INPUT.ppm OUTPUT.ppm` upscales by both, and says what was thrown where it calls wrongly. */
#include <android/bitmap.h>
#include <android/hardware_buffer_jni.h>
#include <dlfcn.h>
#include <jni.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct AHardwareBuffer {
  AHardwareBuffer_Desc told;
  uint64_t locked;
  uint8_t *pixels;
};

typedef struct {
  AndroidBitmapInfo info;
  int locked;
  uint8_t *pixels;
} Bitmap;

static const JNINativeMethod *natives;
static jint count;
static const char *kind_thrown, *registered;
static char thrown[600];

static void demand(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s; thrown: %s\n", what, thrown);
  exit(1);
}

static jclass find_class(JNIEnv *env, const char *name) { return (void)env, (jclass)name; }
static jint throw_new(JNIEnv *env, jclass kind, const char *message) {
  (void)env;
  kind_thrown = kind;
  snprintf(thrown, sizeof thrown, "%s: %s", (const char *)kind, message);
  return 0;
}
static jint register_natives(JNIEnv *env, jclass kind, const JNINativeMethod *methods, jint methods_count) {
  (void)env;
  registered = kind, natives = methods, count = methods_count;
  return JNI_OK;
}
static const struct JNINativeInterface_ functions = {
    .FindClass = find_class, .ThrowNew = throw_new, .RegisterNatives = register_natives};
static JNIEnv env = &functions;
static jint get_env(JavaVM *vm, void **found, jint version) {
  (void)vm;
  *found = &env;
  return version == JNI_VERSION_1_6 ? JNI_OK : JNI_ERR;
}
static const struct JNIInvokeInterface_ invocation = {.GetEnv = get_env};
static JavaVM machine = &invocation;

int AndroidBitmap_getInfo(JNIEnv *at, jobject bitmap, AndroidBitmapInfo *info) {
  (void)at;
  *info = ((Bitmap *)bitmap)->info;
  return 0;
}
int AndroidBitmap_lockPixels(JNIEnv *at, jobject bitmap, void **pixels) {
  (void)at;
  *pixels = ((Bitmap *)bitmap)->pixels;
  ((Bitmap *)bitmap)->locked++;
  return 0;
}
int AndroidBitmap_unlockPixels(JNIEnv *at, jobject bitmap) { return (void)at, --((Bitmap *)bitmap)->locked; }

AHardwareBuffer *AHardwareBuffer_fromHardwareBuffer(JNIEnv *at, jobject buffer) { return (void)at, buffer; }
void AHardwareBuffer_describe(const AHardwareBuffer *buffer, AHardwareBuffer_Desc *told) { *told = buffer->told; }
int AHardwareBuffer_lock(AHardwareBuffer *buffer, uint64_t usage, int32_t fence, const ARect *rect, void **pixels) {
  if (fence != -1 || rect || (buffer->told.usage & usage) != usage || buffer->locked) return -22;
  buffer->locked = usage, *pixels = buffer->pixels;
  return 0;
}
int AHardwareBuffer_unlock(AHardwareBuffer *buffer, int32_t *fence) {
  buffer->locked = 0;
  return fence != NULL;
}

static void *native(const char *name, const char *signature) {
  for (jint i = 0; i < count; ++i)
    if (!strcmp(natives[i].name, name) && !strcmp(natives[i].signature, signature)) return natives[i].fnPtr;
  demand(0, name);
  return NULL;
}

static Bitmap bitmap(uint32_t height, uint32_t width) {
  Bitmap made = {{width, height, 4 * width + 12, ANDROID_BITMAP_FORMAT_RGBA_8888, 0}, 0, NULL};
  made.pixels = malloc((size_t)height * made.info.stride);
  demand(made.pixels != NULL, "no memory");
  memset(made.pixels, 7, (size_t)height * made.info.stride);
  return made;
}

static struct AHardwareBuffer buffer(const Bitmap *of, uint64_t usage) {
  const struct AHardwareBuffer made = {
      {of->info.width, of->info.height, 1, 1, usage, of->info.stride / 4, 0, 0}, 0, of->pixels};
  return made;
}

int main(int words, char **word) {
  demand(words == 4, "app LIBRARY INPUT.ppm OUTPUT.ppm");
  void *const library = dlopen(word[1], RTLD_NOW);
  demand(library != NULL, library ? "" : dlerror());
  jint (*load)(JavaVM *, void *) = (jint(*)(JavaVM *, void *))dlsym(library, "JNI_OnLoad");
  demand(load && load(&machine, NULL) == JNI_VERSION_1_6, "it does not load");
  printf("%s\n", registered);

  jlong (*open_network)(JNIEnv *, jclass, jint) = (jlong(*)(JNIEnv *, jclass, jint))native("open", "(I)J");
  void (*close_network)(JNIEnv *, jclass, jlong) = (void (*)(JNIEnv *, jclass, jlong))native("close", "(J)V");
  jlong (*size_of)(JNIEnv *, jclass, jint, jint) = (jlong(*)(JNIEnv *, jclass, jint, jint))native("resultSize", "(II)J");
  typedef void (*Upscale)(JNIEnv *, jclass, jlong, jobject, jobject);
  const Upscale by_bitmap =
      (Upscale)native("upscaleBitmap", "(JLandroid/graphics/Bitmap;Landroid/graphics/Bitmap;)V");
  const Upscale by_buffer =
      (Upscale)native("upscaleBuffer", "(JLandroid/hardware/HardwareBuffer;Landroid/hardware/HardwareBuffer;)V");

  FILE *file = fopen(word[2], "rb");
  unsigned width, height;
  demand(file && fscanf(file, "P6 %u %u 255", &width, &height) == 2, "no picture");
  fgetc(file);
  Bitmap small = bitmap(height, width);
  for (uint32_t y = 0; y < height; ++y)
    for (uint32_t x = 0; x < width; ++x) {
      uint8_t *const pixel = small.pixels + y * small.info.stride + 4 * x;
      demand(fread(pixel, 1, 3, file) == 3, "a picture that ends");
      pixel[3] = 255;
    }
  fclose(file);

  const jlong size = size_of(&env, NULL, (jint)height, (jint)width);
  Bitmap large = bitmap((uint32_t)(size >> 32), (uint32_t)size), other = bitmap((uint32_t)(size >> 32), (uint32_t)size);
  const jlong network = open_network(&env, NULL, 2);
  demand(network != 0, "it does not open");
  by_bitmap(&env, NULL, network, &small, &large);
  demand(!kind_thrown, "it does not upscale");
  struct AHardwareBuffer from = buffer(&small, 0x33), to = buffer(&other, 0x33);
  by_buffer(&env, NULL, network, &from, &to);
  demand(!kind_thrown, "it does not upscale buffers");
  demand(!memcmp(large.pixels, other.pixels, (size_t)large.info.height * large.info.stride), "they differ");
  demand(!small.locked && !large.locked && !from.locked && !to.locked, "something stays locked");

  file = fopen(word[3], "wb");
  demand(file && fprintf(file, "P6\n%u %u\n255\n", large.info.width, large.info.height) > 0, "no output");
  for (uint32_t y = 0; y < large.info.height; ++y)
    for (uint32_t x = 0; x < large.info.width; ++x) {
      const uint8_t *const pixel = large.pixels + y * large.info.stride + 4 * x;
      demand(pixel[3] == 255, "it is not opaque");
      fwrite(pixel, 1, 3, file);
    }
  demand(!fclose(file), "no output");

  by_bitmap(&env, NULL, network, &small, &small);
  printf("%s\n", thrown);
  to.told.usage = 3;
  by_buffer(&env, NULL, network, &from, &to);
  printf("%s\n", thrown);
  from.told.format = 4;
  by_buffer(&env, NULL, network, &from, &to);
  printf("%s\n", thrown);
  small.info.format = 4;
  by_bitmap(&env, NULL, network, &small, &large);
  printf("%s\n", thrown);
  size_of(&env, NULL, 0, -1);
  printf("%s\n", thrown);
  demand(!open_network(&env, NULL, 100000), "it opens with too many threads");
  printf("%s\n", thrown);
  demand(!small.locked && !large.locked && !from.locked && !to.locked, "something stays locked");
  close_network(&env, NULL, network);
  return 0;
}
