#include "driver.h"

#include <stdarg.h>

void *dlopen(const char *file, int mode);
void *dlsym(void *library, const char *name);
char *getenv(const char *name);
char *strstr(const char *text, const char *part);
int vsnprintf(char *text, size_t size, const char *format, va_list values);

// By name first, then where Android keeps it out of the loader's way; Mali's OpenCL also lies in its OpenGL driver.
static const char *const files[] = {
    "libOpenCL.so.1",
    "libOpenCL.so",
    "/vendor/lib64/libOpenCL.so",
    "/system/vendor/lib64/libOpenCL.so",
    "/system/lib64/libOpenCL.so",
    "/vendor/lib64/egl/libGLES_mali.so",
    "/system/vendor/lib64/egl/libGLES_mali.so",
    "libmali.so.1",
    "libmali.so",
};

int clipfree_say(char message[CLIPFREE_MESSAGE], const char *format, ...) {
  va_list values;
  va_start(values, format);
  vsnprintf(message, CLIPFREE_MESSAGE, format, values);
  va_end(values);
  return 0;
}

static void *load(const char *file) { return dlopen(file, /*RTLD_NOW*/ 2); }

int clipfree_load_driver(struct driver *cl, const char *file, char message[CLIPFREE_MESSAGE]) {
  const char *name = file ? file : getenv("CLIPFREE_OPENCL");
  void *library = name ? load(name) : NULL;  // it stays loaded: drivers keep threads
  if (name && !library) return clipfree_say(message, "the OpenCL driver %s cannot be loaded", name);
  for (size_t at = 0; !library && at < sizeof files / sizeof *files; ++at) library = load(name = files[at]);
  if (!library)
    return clipfree_say(message, "there is no OpenCL on this device: neither %s nor the places where phones keep it "
                        "hold a driver; name its library in the environment variable CLIPFREE_OPENCL", files[0]);
  const char *missing = NULL;
#define CL_LOAD(name, ...) \
  if (!(*(void **)&cl->name = dlsym(library, #name))) missing = #name;
  CL_FUNCTIONS(CL_LOAD)
#undef CL_LOAD
#define CL_LOAD(type, name, ...) \
  if (!(*(void **)&cl->name = dlsym(library, #name))) missing = #name;
  CL_CONSTRUCTORS(CL_LOAD)
#undef CL_LOAD
  if (missing) return clipfree_say(message, "%s is no driver of OpenCL 1.2: it has no %s", name, missing);
  return 1;
}

static char lower(char letter) { return letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter; }

// Whether `text` contains `part`, in letters of any case.
static int contains(const char *text, const char *part) {
  for (;; ++text) {
    size_t same = 0;
    while (part[same] && lower(text[same]) == lower(part[same])) ++same;
    if (!part[same]) return 1;
    if (!*text) return 0;
  }
}

// The first device of a type, or the first whose name or platform's name contains `wanted`; its name too.
static cl_device_id first_device(const struct driver *cl, int64_t type, const char *wanted, char name[320]) {
  cl_platform_id platforms[16];
  uint32_t count = 0;
  if (cl->clGetPlatformIDs(16, platforms, &count)) return NULL;
  for (uint32_t at = 0; at < count && at < 16; ++at) {
    cl_device_id devices[16];
    uint32_t found = 0;
    if (cl->clGetDeviceIDs(platforms[at], (uint64_t)type & 0xFFFFFFFF, 16, devices, &found)) continue;
    for (uint32_t each = 0; each < found && each < 16; ++each) {
      char own[160] = "", maker[128] = "";
      cl->clGetPlatformInfo(platforms[at], CL_PLATFORM_NAME, sizeof maker, maker, NULL);
      cl->clGetDeviceInfo(devices[each], CL_DEVICE_NAME, sizeof own, own, NULL);
      snprintf(name, 320, "%s (%s)", own, maker);
      if (!wanted || contains(name, wanted)) return devices[each];
    }
  }
  return NULL;
}

static int stores_halves(const struct driver *cl, cl_device_id device) {
  uint64_t type = 0;
  size_t size = 0;
  cl->clGetDeviceInfo(device, CL_DEVICE_TYPE, sizeof type, &type, NULL);
  cl->clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, 0, NULL, &size);
  char *extensions = calloc(1, size + 1);
  if (extensions) cl->clGetDeviceInfo(device, CL_DEVICE_EXTENSIONS, size, extensions, NULL);
  const int found = extensions && strstr(extensions, "cl_khr_fp16");
  free(extensions);
  return found || !(type & CL_TYPE_GPU);
}

int clipfree_find_device(const struct driver *cl, int32_t kind, struct device *device,
                         char message[CLIPFREE_MESSAGE]) {
  const char *wanted = getenv("CLIPFREE_OPENCL_DEVICE");
  const char *kinds = kind == CLIPFREE_ANY_DEVICE ? "processor" : kind == CLIPFREE_GPU ? "GPU" : "CPU";
  device->id = first_device(cl, kind == CLIPFREE_CPU ? CL_TYPE_CPU : CL_TYPE_GPU, wanted, device->name);
  if (!device->id && kind == CLIPFREE_ANY_DEVICE) device->id = first_device(cl, CL_TYPE_ALL, wanted, device->name);
  if (!device->id && wanted) return clipfree_say(message, "OpenCL finds no %s called '%s' on this device", kinds, wanted);
  if (!device->id) return clipfree_say(message, "OpenCL finds no %s on this device", kinds);
  char version[96] = "";
  uint64_t rounding = 0;
  cl->clGetDeviceInfo(device->id, CL_DEVICE_VERSION, sizeof version, version, NULL);
  cl->clGetDeviceInfo(device->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof rounding, &rounding, NULL);
  cl->clGetDeviceInfo(device->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof device->largest, &device->largest, NULL);
  cl->clGetDeviceInfo(device->id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof device->items, device->items, NULL);
  device->halves = stores_halves(cl, device->id);
  device->version = version[7] - '0';  // "OpenCL 3.0 ..."
  if (!(rounding & CL_FP_ROUND_TO_NEAREST))
    return clipfree_say(message, "%s does not round float32 to nearest, which the kernels rely on", device->name);
  return 1;
}
