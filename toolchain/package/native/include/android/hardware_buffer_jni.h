/* What `network_jni.c` takes of Android's NDK, "Native Hardware Buffer": libandroid.so, from API level 26 on. */
#pragma once

#include <jni.h>
#include <stdint.h>

enum { AHARDWAREBUFFER_FORMAT_R8G8B8A8_UNORM = 1, AHARDWAREBUFFER_FORMAT_R8G8B8X8_UNORM = 2 };
enum { AHARDWAREBUFFER_USAGE_CPU_READ_OFTEN = 3, AHARDWAREBUFFER_USAGE_CPU_WRITE_OFTEN = 3 << 4 };

typedef struct AHardwareBuffer AHardwareBuffer;
typedef struct ARect ARect;

typedef struct {
  uint32_t width, height, layers, format;
  uint64_t usage;
  uint32_t stride; /* pixels */
  uint32_t rfu0;
  uint64_t rfu1;
} AHardwareBuffer_Desc;

AHardwareBuffer *AHardwareBuffer_fromHardwareBuffer(JNIEnv *env, jobject buffer);
void AHardwareBuffer_describe(const AHardwareBuffer *buffer, AHardwareBuffer_Desc *description);
int AHardwareBuffer_lock(AHardwareBuffer *buffer, uint64_t usage, int32_t fence, const ARect *rect, void **pixels);
int AHardwareBuffer_unlock(AHardwareBuffer *buffer, int32_t *fence);
