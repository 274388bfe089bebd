/* A super-resolution network as a library, for C (C99 and later) and C++: the functions of a bundle's model.so.
 *
 *     clipfree *network;
 *     char message[CLIPFREE_MESSAGE];
 *     if (clipfree_open(&network, NULL, message)) ...say message
 *     clipfree_picture small = {.size = sizeof small, .format = CLIPFREE_RGB, .height = height, .width = width,
 *                               .planes = {pixels}, .strides = {3 * width}};
 *     clipfree_picture large = {.size = sizeof large, .format = CLIPFREE_RGB, .height = 3 * height, .width = 3 * width,
 *                               .planes = {result}, .strides = {9 * width}};
 *     if (clipfree_upscale(network, &small, &large)) ...say clipfree_error(network)
 *     clipfree_close(network);
 *
 * Link with model.so, or load it (dlopen) and take `clipfree_functions` from it, which also keeps several networks of one
 * program apart. The library needs libc, libm and threads, or for an OpenCL device its driver. It never ends the program,
 * prints nothing, and handles no signals.
 *
 * Functions that can fail return a `clipfree_status`, which is 0 if they did not. Any thread may use any network; one that
 * another thread is using answers CLIPFREE_BUSY. */
#ifndef CLIPFREE_H
#define CLIPFREE_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(CLIPFREE_BUILDS)
#define CLIPFREE_API __declspec(dllexport)
#elif defined(__GNUC__)
#define CLIPFREE_API __attribute__((visibility("default")))
#else
#define CLIPFREE_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this interface. Structures begin with their size and grow at their end only, so a program works with
 * older and newer libraries of one version. */
#define CLIPFREE_ABI 1

/* Bytes of a message, its final zero included. */
#define CLIPFREE_MESSAGE 512

/* Pixels of a picture's side at most. */
#define CLIPFREE_LARGEST 0xffffff

typedef enum clipfree_status {
  CLIPFREE_OK = 0,
  CLIPFREE_NULL = 1,          /* a pointer is null that must not be */
  CLIPFREE_WRONG_ABI = 2,     /* a structure's size is none that this library knows */
  CLIPFREE_WRONG_OPTION = 3,  /* an option is out of range */
  CLIPFREE_WRONG_SIZE = 4,    /* a picture is empty, too small or too large for the network, or the result's size is wrong */
  CLIPFREE_WRONG_STRIDE = 5,  /* rows would overlap, or reach beyond what can be addressed */
  CLIPFREE_WRONG_FORMAT = 6,  /* there are no such pixels */
  CLIPFREE_OVERLAP = 7,       /* the result lies in the memory of the source */
  CLIPFREE_BUSY = 8,          /* another thread is using this network */
  CLIPFREE_WRONG_CPU = 9,     /* this processor lacks an instruction of the library */
  CLIPFREE_NO_MEMORY = 10,    /* there is not enough memory */
  CLIPFREE_NO_THREADS = 11,   /* threads cannot be started */
  CLIPFREE_NO_DEVICE = 12,    /* there is no OpenCL device, or it cannot run the network */
  CLIPFREE_DAMAGED = 13,      /* the library is not what was written */
  CLIPFREE_UNSUPPORTED = 14,  /* the network needs what only TVM's runtime has */
  CLIPFREE_FAILED = 15        /* the network failed */
} clipfree_status;

/* What the status means, as a sentence without its period, whatever the number. */
CLIPFREE_API const char *clipfree_message(int32_t status);

/* -- what the library is -------------------------------------------------------------------------------------------- */

typedef struct clipfree_info {
  size_t size;               /* of this structure */
  uint32_t abi;              /* CLIPFREE_ABI of the library */
  int32_t channels;          /* of pixels: 1, grey, or 3, RGB */
  uint32_t scale_num;        /* output pixels per input pixel and direction: the fraction scale_num / scale_den */
  uint32_t scale_den;
  uint32_t unit;             /* sides are extended to multiples of it, by copies of the last row and column */
  uint32_t smallest_height;  /* of pictures that the network takes */
  uint32_t smallest_width;
  const char *name;          /* of the network */
  const char *target;        /* that it was compiled for */
  const char *version;       /* of clipfree, which made it */
  uint32_t halo;             /* pixels around a region that its result depends on; CLIPFREE_LARGEST: all that there are */
  uint32_t unused;           /* 0 */
} clipfree_info;

/* Describe the library. `info->size` is set by the caller. */
CLIPFREE_API int32_t clipfree_describe(clipfree_info *info);

/* Tell the size of the result for a picture of height x width: the sides times the scale, rounded down. */
CLIPFREE_API int32_t clipfree_result_size(uint32_t height, uint32_t width, uint32_t *result_height,
                                          uint32_t *result_width);

/* -- opening -------------------------------------------------------------------------------------------------------- */

/* A network that is open. */
typedef struct clipfree clipfree;

/* How a network runs. Zero, but for the size, is a good choice everywhere. Threads, cores, memory and pool are for networks
 * on CPUs. */
typedef struct clipfree_options {
  size_t size;  /* of this structure */

  /* Threads that a picture is cut among, the caller's included; 0: as many as there are cores for the process. */
  uint32_t threads;

  /* Cores that the threads which the library starts are kept to, by their numbers; none: all. The calling thread, which
   * works too, stays where it is. */
  uint32_t core_count;
  const uint32_t *cores;

  /* Where memory comes from; both or none. `alignment` is a power of two. Calls come one at a time, from any of the
   * network's threads. Nothing is allocated by clipfree_upscale for pictures like the last ones: of their size and format,
   * and at multiples of 64 bytes if those were. */
  void *(*allocate)(void *allocator, size_t bytes, size_t alignment);
  void (*release)(void *allocator, void *memory, size_t bytes);
  void *allocator;

  /* Threads of the caller in place of the library's own: calls task(work, 0) to task(work, count - 1), in any order, on
   * any threads, and returns when all have returned. `threads` says how many there are at most. */
  void (*parallel_for)(void *pool, void (*task)(void *work, uint32_t index), void *work, uint32_t count);
  void *pool;

  /* For networks on OpenCL devices: the file of the driver's library (NULL: where it usually is), and which device. */
  const char *driver;
  int32_t device; /* a clipfree_device_kind */
} clipfree_options;

typedef enum clipfree_device_kind {
  CLIPFREE_ANY_DEVICE = 0, /* a GPU if there is one */
  CLIPFREE_GPU = 1,
  CLIPFREE_CPU = 2
} clipfree_device_kind;

/* Open the network; it can be opened more than once. `options`, and what they point at, may be gone afterwards, but for
 * allocator and pool; NULL: as they are by themselves. `message`: NULL, or where to say what is wrong. If it fails,
 * `network` becomes NULL. */
CLIPFREE_API int32_t clipfree_open(clipfree **network, const clipfree_options *options, char message[CLIPFREE_MESSAGE]);

/* Give back all that a network holds. NULL is allowed; CLIPFREE_BUSY if it is in use, and then nothing happens. */
CLIPFREE_API int32_t clipfree_close(clipfree *network);

/* What went wrong in this network's last call but for CLIPFREE_BUSY, as a sentence without its period; "" if nothing did.
 * Overwritten by its next call. */
CLIPFREE_API const char *clipfree_error(const clipfree *network);

/* -- upscaling ------------------------------------------------------------------------------------------------------ */

/* How pixels lie in memory; the network's own is CLIPFREE_RGB or CLIPFREE_GREY, and others are converted on the way, from
 * each to each. docs/c-interface.md of clipfree says by which arithmetic. */
typedef enum clipfree_format {
  CLIPFREE_GREY = 1,    /* 8 bits a pixel */
  CLIPFREE_RGB = 2,     /* 8 bits a channel, side by side */
  CLIPFREE_BGR = 3,
  CLIPFREE_PLANAR = 4,  /* three planes: red, green, blue */
  CLIPFREE_RGBA = 5,    /* alpha, not multiplied into colours, is enlarged bicubically; 255 where the source has none */
  CLIPFREE_BGRA = 6,
  /* Luma, and chroma for each two by two pixels: its planes have half the sides, rounded up. */
  CLIPFREE_NV12 = 7,    /* two planes: luma; blue and red difference side by side */
  CLIPFREE_NV21 = 8,    /* the same, red difference first */
  CLIPFREE_I420 = 9,    /* three planes: luma, blue, red difference */
  CLIPFREE_P010 = 10,   /* as NV12, in words of 16 bits, of which the upper 10 count */
  CLIPFREE_I010 = 11    /* as I420, in words of 16 bits, of which the lower 10 count */
} clipfree_format;

/* What luma and chroma stand for. 0 of a result: what the source has, if that is of luma and chroma too. */
typedef enum clipfree_matrix {
  CLIPFREE_USUAL_MATRIX = 0, /* BT.709 for pictures at least 1280 wide or more than 576 high, else BT.601 */
  CLIPFREE_BT601 = 1,
  CLIPFREE_BT709 = 2,
  CLIPFREE_BT2020 = 3
} clipfree_matrix;

typedef enum clipfree_range {
  CLIPFREE_USUAL_RANGE = 0, /* limited */
  CLIPFREE_LIMITED = 1,     /* of 8 bits, luma from 16 to 235, chroma from 16 to 240 */
  CLIPFREE_FULL = 2         /* from 0 to 255 */
} clipfree_range;

/* Where chroma lies among its four pixels. */
typedef enum clipfree_site {
  CLIPFREE_USUAL_SITE = 0, /* left */
  CLIPFREE_LEFT = 1,       /* between the two on the left */
  CLIPFREE_CENTRE = 2,     /* amid the four */
  CLIPFREE_TOP_LEFT = 3    /* on the first */
} clipfree_site;

typedef struct clipfree_picture {
  size_t size;        /* of this structure */
  int32_t format;     /* a clipfree_format */
  uint32_t height;
  uint32_t width;
  void *planes[4];    /* where the top left pixel is; of formats with one plane, the first */
  ptrdiff_t strides[4]; /* bytes from a row to the one below, of each plane; negative if that lies before it in memory */
  int32_t matrix;     /* of formats with luma and chroma: a clipfree_matrix */
  int32_t range;      /* a clipfree_range */
  int32_t site;       /* a clipfree_site */
  int32_t unused;     /* 0 */
} clipfree_picture;

/* Bytes that a picture of height x width takes beside itself and its result, at most, whatever their formats; those that the
 * open network holds already are among them. Of a network that does not stream in bands of rows, about so many. */
CLIPFREE_API int32_t clipfree_memory(clipfree *network, uint32_t height, uint32_t width, uint64_t *bytes);

/* Upscale `source`, which is not written to, into `result`, of the size that clipfree_result_size tells. Pixels that are
 * densely packed in the network's own format are read and written where they are, others are converted once, by all of the
 * network's threads. */
CLIPFREE_API int32_t clipfree_upscale(clipfree *network, const clipfree_picture *source, const clipfree_picture *result);

/* Pixels of a picture. */
typedef struct clipfree_region {
  size_t size; /* of this structure */
  uint32_t top, left;
  uint32_t height, width;
} clipfree_region;

/* Upscale a region of `source` (NULL: all of it) into `result`, which becomes what the whole's result has there: its rows are those from
 * top * scale to (top + height) * scale, both rounded down, and so its columns. Takes time and memory for the region and
 * the halo around it, or for the whole picture where the network looks at all of it. Of a result with a chroma for each two
 * by two pixels, these begin at even numbers. */
CLIPFREE_API int32_t clipfree_upscale_region(clipfree *network, const clipfree_picture *source,
                                             const clipfree_region *region, const clipfree_picture *result);

/* -- all of it by one name ------------------------------------------------------------------------------------------ */

typedef struct clipfree_functions {
  size_t size; /* of this structure */
  const char *(*message)(int32_t status);
  int32_t (*describe)(clipfree_info *info);
  int32_t (*result_size)(uint32_t height, uint32_t width, uint32_t *result_height, uint32_t *result_width);
  int32_t (*open)(clipfree **network, const clipfree_options *options, char message[CLIPFREE_MESSAGE]);
  int32_t (*close)(clipfree *network);
  const char *(*error)(const clipfree *network);
  int32_t (*memory)(clipfree *network, uint32_t height, uint32_t width, uint64_t *bytes);
  int32_t (*upscale)(clipfree *network, const clipfree_picture *source, const clipfree_picture *result);
  int32_t (*upscale_region)(clipfree *network, const clipfree_picture *source, const clipfree_region *region,
                            const clipfree_picture *result);
} clipfree_functions;

/* The functions above; NULL if the library has another CLIPFREE_ABI. With dlopen:
 *     const clipfree_functions *(*get)(uint32_t) = (const clipfree_functions *(*)(uint32_t))dlsym(library,
 *         "clipfree_get_functions"); */
CLIPFREE_API const clipfree_functions *clipfree_get_functions(uint32_t abi);

#ifdef __cplusplus
}
#endif
#endif
