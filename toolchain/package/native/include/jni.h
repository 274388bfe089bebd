/* What `network_jni.c` takes of the Java Native Interface, written from its specification (version 6, "JNI Functions" and
 * "Invocation API"): functions that it does not call are places in the tables. */
#pragma once

#include <stdint.h>

typedef int32_t jint;
typedef int64_t jlong;
typedef uint8_t jboolean;
typedef void *jobject;
typedef jobject jclass;

#define JNI_VERSION_1_6 0x00010006
#define JNI_OK 0
#define JNI_ERR (-1)
#define JNICALL
#define JNIEXPORT __attribute__((visibility("default")))

typedef const struct JNINativeInterface_ *JNIEnv;
typedef const struct JNIInvokeInterface_ *JavaVM;

typedef struct {
  char *name;
  char *signature;
  void *fnPtr;
} JNINativeMethod;

struct JNINativeInterface_ {
  void *to_5[6];
  jclass (*FindClass)(JNIEnv *env, const char *name); /* 6 */
  void *to_13[7];
  jint (*ThrowNew)(JNIEnv *env, jclass kind, const char *message); /* 14 */
  void *to_214[200];
  jint (*RegisterNatives)(JNIEnv *env, jclass kind, const JNINativeMethod *methods, jint count); /* 215 */
};

struct JNIInvokeInterface_ {
  void *to_5[6];
  jint (*GetEnv)(JavaVM *vm, void **env, jint version); /* 6 */
};
