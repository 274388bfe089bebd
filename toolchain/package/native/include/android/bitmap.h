/* What `network_jni.c` takes of Android's NDK, "Bitmap": libjnigraphics.so. */
#pragma once

#include <jni.h>
#include <stdint.h>

enum { ANDROID_BITMAP_FORMAT_RGBA_8888 = 1 };

typedef struct {
  uint32_t width, height;
  uint32_t stride; /* bytes */
  int32_t format;
  uint32_t flags;
} AndroidBitmapInfo;

int AndroidBitmap_getInfo(JNIEnv *env, jobject bitmap, AndroidBitmapInfo *info);
int AndroidBitmap_lockPixels(JNIEnv *env, jobject bitmap, void **pixels);
int AndroidBitmap_unlockPixels(JNIEnv *env, jobject bitmap);
