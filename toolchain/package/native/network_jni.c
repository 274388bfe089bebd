/* The natives of Network.java: bitmaps and hardware buffers as pictures of clipfree.h, and its errors as exceptions.
 * NETWORK_CLASS is the name of the class, with slashes. */
#include <android/bitmap.h>
#include <android/hardware_buffer_jni.h>
#include <jni.h>

#include "clipfree.h"

enum { kPixel = 4 }; /* bytes of RGBA */

static void raise(JNIEnv *env, int32_t status, const char *text) {
  const char *kind = "java/lang/IllegalStateException";
  switch (status) {
    case CLIPFREE_WRONG_OPTION:
    case CLIPFREE_WRONG_SIZE:
    case CLIPFREE_WRONG_STRIDE:
    case CLIPFREE_WRONG_FORMAT:
    case CLIPFREE_OVERLAP: kind = "java/lang/IllegalArgumentException"; break;
    case CLIPFREE_NO_MEMORY: kind = "java/lang/OutOfMemoryError"; break;
    case CLIPFREE_UNSUPPORTED:
    case CLIPFREE_WRONG_CPU: kind = "java/lang/UnsupportedOperationException"; break;
    default: break;
  }
  const jclass found = (*env)->FindClass(env, kind);
  if (found) (*env)->ThrowNew(env, found, text);
}

static clipfree *network_of(jlong handle) { return (clipfree *)(intptr_t)handle; }

static jlong JNICALL open_network(JNIEnv *env, jclass kind, jint threads) {
  clipfree *network;
  char message[CLIPFREE_MESSAGE];
  const clipfree_options options = {.size = sizeof options, .threads = (uint32_t)threads};
  (void)kind;
  const int32_t status = clipfree_open(&network, &options, message);
  if (status) raise(env, status, message);
  return (jlong)(intptr_t)network;
}

static void JNICALL close_network(JNIEnv *env, jclass kind, jlong handle) {
  (void)kind;
  const int32_t status = clipfree_close(network_of(handle));
  if (status) raise(env, status, clipfree_message(status));
}

/* Height and width of the result, side by side. */
static jlong JNICALL result_size(JNIEnv *env, jclass kind, jint height, jint width) {
  uint32_t large_height = 0, large_width = 0;
  (void)kind;
  const int32_t status = clipfree_result_size((uint32_t)height, (uint32_t)width, &large_height, &large_width);
  if (status) raise(env, status, clipfree_message(status));
  return (jlong)large_height << 32 | large_width;
}

static void upscale(JNIEnv *env, jlong handle, const clipfree_picture *small, const clipfree_picture *large) {
  clipfree *const network = network_of(handle);
  const int32_t status = clipfree_upscale(network, small, large);
  if (status) raise(env, status, status == CLIPFREE_BUSY ? clipfree_message(status) : clipfree_error(network));
}

static clipfree_picture rgba(uint32_t height, uint32_t width, void *pixels, uint64_t stride) {
  return (clipfree_picture){sizeof(clipfree_picture), CLIPFREE_RGBA, height, width, {pixels}, {(ptrdiff_t)stride}};
}

static int lock_bitmap(JNIEnv *env, jobject bitmap, clipfree_picture *picture) {
  AndroidBitmapInfo info;
  void *pixels;
  if (AndroidBitmap_getInfo(env, bitmap, &info) || info.format != ANDROID_BITMAP_FORMAT_RGBA_8888) {
    raise(env, CLIPFREE_WRONG_FORMAT, "bitmaps must be ARGB_8888");
    return -1;
  }
  if (AndroidBitmap_lockPixels(env, bitmap, &pixels)) {
    raise(env, CLIPFREE_FAILED, "a bitmap's pixels cannot be had");
    return -1;
  }
  *picture = rgba(info.height, info.width, pixels, info.stride);
  return 0;
}

static void JNICALL upscale_bitmap(JNIEnv *env, jclass kind, jlong handle, jobject small, jobject large) {
  clipfree_picture source, result;
  (void)kind;
  if (lock_bitmap(env, small, &source)) return;
  if (!lock_bitmap(env, large, &result)) {
    upscale(env, handle, &source, &result);
    AndroidBitmap_unlockPixels(env, large);
  }
  AndroidBitmap_unlockPixels(env, small);
}

static AHardwareBuffer *lock_buffer(JNIEnv *env, jobject object, uint64_t usage, clipfree_picture *picture) {
  AHardwareBuffer *const buffer = AHardwareBuffer_fromHardwareBuffer(env, object);
  AHardwareBuffer_Desc told;
  void *pixels;
  AHardwareBuffer_describe(buffer, &told);
  if (told.format != AHARDWAREBUFFER_FORMAT_R8G8B8A8_UNORM && told.format != AHARDWAREBUFFER_FORMAT_R8G8B8X8_UNORM) {
    raise(env, CLIPFREE_WRONG_FORMAT, "hardware buffers must be RGBA_8888 or RGBX_8888");
    return NULL;
  }
  if (AHardwareBuffer_lock(buffer, usage, -1, NULL, &pixels)) {
    raise(env, CLIPFREE_FAILED, "a hardware buffer cannot be locked: its usage must allow the CPU");
    return NULL;
  }
  *picture = rgba(told.height, told.width, pixels, (uint64_t)told.stride * kPixel);
  return buffer;
}

static void JNICALL upscale_buffer(JNIEnv *env, jclass kind, jlong handle, jobject small, jobject large) {
  clipfree_picture source, result;
  (void)kind;
  AHardwareBuffer *const from = lock_buffer(env, small, AHARDWAREBUFFER_USAGE_CPU_READ_OFTEN, &source);
  if (!from) return;
  AHardwareBuffer *const to = lock_buffer(env, large, AHARDWAREBUFFER_USAGE_CPU_WRITE_OFTEN, &result);
  if (to) {
    upscale(env, handle, &source, &result);
    AHardwareBuffer_unlock(to, NULL);
  }
  AHardwareBuffer_unlock(from, NULL);
}

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved);
JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved) {
  static const JNINativeMethod methods[] = {
      {"open", "(I)J", (void *)open_network},
      {"close", "(J)V", (void *)close_network},
      {"resultSize", "(II)J", (void *)result_size},
      {"upscaleBitmap", "(JLandroid/graphics/Bitmap;Landroid/graphics/Bitmap;)V", (void *)upscale_bitmap},
      {"upscaleBuffer", "(JLandroid/hardware/HardwareBuffer;Landroid/hardware/HardwareBuffer;)V",
       (void *)upscale_buffer},
  };
  void *found;
  (void)reserved;
  if ((*vm)->GetEnv(vm, &found, JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
  JNIEnv *const env = found;
  const jclass kind = (*env)->FindClass(env, NETWORK_CLASS);
  if (!kind || (*env)->RegisterNatives(env, kind, methods, sizeof methods / sizeof *methods) != JNI_OK) return JNI_ERR;
  return JNI_VERSION_1_6;
}
