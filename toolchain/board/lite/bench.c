/* Checks a network's picture on the device that it runs on, and times it there: a program that needs neither TVM nor
 * Python nor any other library, in a folder with model.so, golden.ppm and expected.ppm (.pgm for one channel). */
#define _GNU_SOURCE /* sched_getaffinity */

#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "network.h"
#include "tvm.h"

enum { kBad = 1, kUsage = 2, kProcessor = 6, kDifferent = 7 };  /* exit codes, those of the command line */
static const char kWords[] =
    "usage: clipfree-bench [--size HEIGHTxWIDTH] [--threads N] [--repeats N] [--seconds S] [--cool-down S]\n"
    "                      [--upscale IN.ppm OUT.ppm] [FOLDER]\n"
    "  compares the network in FOLDER (default: where this program lies) with its golden picture, and times it on noise\n"
    "  of --size (360x640), up to --repeats times (30) or for --seconds (10); or upscales a picture\n"
    "  taskset chooses cores\n";

static struct {
  const char *folder, *in, *out;
  int height, width, threads, repeats;
  double seconds, rest;
} options = {NULL, NULL, NULL, 360, 640, 0, 30, 10, 0};

static void stop(int code) {
  fprintf(stderr, "clipfree-bench: %s\n", failure);
  exit(code);
}

static void crashed(int number) {
  const char* sentence = number == SIGILL ? "clipfree-bench: this processor lacks an instruction of the library; deploy "
                                            "the model for another target\n"
                                          : "clipfree-bench: the library crashed; was it copied whole?\n";
  if (write(2, sentence, strlen(sentence)) < 0) _exit(kBad);
  _exit(number == SIGILL ? kProcessor : kBad);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

static void doze(double seconds) {
  const struct timespec time = {(time_t)seconds, (long)(1e9 * (seconds - (time_t)seconds))};
  nanosleep(&time, NULL);
}

/* -- pictures: binary PPM and PGM of 8 bits ------------------------------------------------------------------------ */

static Picture read_picture(const char* path) {
  FILE* file = fopen(path, "rb");
  char kind = 0;
  long long width = 0, height = 0;
  int most = 0;
  if (!file) fail("%s cannot be read: %s", path, strerror(errno)), stop(kBad);
  if (fscanf(file, "P%c %lld %lld %d", &kind, &width, &height, &most) != 4 || (kind != '5' && kind != '6') ||
      most != 255 || width < 1 || height < 1 || width > 1 << 15 || height > 1 << 15 || !isspace(fgetc(file)))
    fail("%s is no PPM or PGM of 8 bits", path), stop(kBad);
  Picture picture = {height, width, kind == '6' ? 3 : 1, NULL};
  const size_t size = (size_t)(height * width * picture.channels);
  picture.pixels = malloc(size);
  if (!picture.pixels || fread(picture.pixels, 1, size, file) != size) fail("%s ends early", path), stop(kBad);
  fclose(file);
  return picture;
}

static void write_picture(const char* path, Picture picture) {
  FILE* file = fopen(path, "wb");
  const size_t size = (size_t)(picture.height * picture.width * picture.channels);
  const int written = file && fprintf(file, "P%c\n%lld %lld\n255\n", picture.channels == 3 ? '6' : '5',
                                      (long long)picture.width, (long long)picture.height) > 0 &&
                      fwrite(picture.pixels, 1, size, file) == size && fclose(file) == 0;
  if (!written) fail("%s cannot be written: %s", path, strerror(errno)), stop(kBad);
}

static const char* beside(const char* name) {
  static char path[4096];
  snprintf(path, sizeof path, "%s/%s", options.folder, name);
  return path;
}

static Picture shipped(const char* name, const char* grey) {
  return read_picture(access(beside(name), R_OK) ? beside(grey) : beside(name));
}

/* -- checking and timing ------------------------------------------------------------------------------------------- */

/* Of how many pixels the sides of the network's pictures are multiples. */
#ifndef UNIT
#define UNIT 1
#endif

/* Height and width of the smallest picture of which the network leaves something. */
#ifndef SHORTEST
#define SHORTEST 1
#endif
#ifndef NARROWEST
#define NARROWEST 1
#endif

/* A picture with as many copies of its last row and column as make both sides multiples of UNIT. */
static Picture extended(Picture input) {
  const int64_t height = (input.height + UNIT - 1) / UNIT * UNIT, width = (input.width + UNIT - 1) / UNIT * UNIT;
  if (height == input.height && width == input.width) return input;
  const int64_t channels = input.channels;
  Picture larger = {height, width, channels, malloc((size_t)(height * width * channels))};
  if (!larger.pixels) fail("there is not enough memory"), stop(kBad);
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x) {
      const int64_t row = y < input.height ? y : input.height - 1, column = x < input.width ? x : input.width - 1;
      memcpy(larger.pixels + (y * width + x) * channels, input.pixels + (row * input.width + column) * channels,
             (size_t)channels);
    }
  return larger;
}

static Picture run(Picture input) {
  if (input.height < SHORTEST || input.width < NARROWEST)
    fail("of %lld x %lld pixels nothing is left within this network, which takes %d x %d at least; use a larger picture",
         (long long)input.width, (long long)input.height, NARROWEST, SHORTEST), stop(kUsage);
  Picture larger = extended(input), output;
  if (network_run(&larger, &output)) stop(kBad);
  if (larger.pixels == input.pixels) return output;
  /* What that added is cut off, in place. */
  const int64_t height = output.height * input.height / larger.height, width = output.width * input.width / larger.width;
  for (int64_t y = 0; y < height; ++y)
    memmove(output.pixels + y * width * output.channels, output.pixels + y * output.width * output.channels,
            (size_t)(width * output.channels));
  free(larger.pixels);
  output.height = height;
  output.width = width;
  return output;
}

/* How far values may be from the golden picture's: 0 where the whole network is integer. */
#ifndef TOLERANCE
#define TOLERANCE 0
#endif

static int difference; /* the largest that was found */

static Picture check(void) {
  const Picture input = shipped("golden.ppm", "golden.pgm"), expected = shipped("expected.ppm", "expected.pgm");
  const Picture output = run(input);
  const size_t size = (size_t)(expected.height * expected.width * expected.channels);
  size_t wrong = 0;
  if (output.height != expected.height || output.width != expected.width || output.channels != expected.channels)
    fail("the golden picture comes out in another size"), stop(kDifferent);
  for (size_t i = 0; i < size; ++i) {
    const int distance = abs(output.pixels[i] - expected.pixels[i]);
    wrong += distance > TOLERANCE;
    if (difference < distance) difference = distance;
  }
  if (wrong)
    fail("%zu of %zu values of the golden picture differ, by up to %d", wrong, size, difference), stop(kDifferent);
  return input;
}

static int ascending(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

/* What `clipfree bench --json` says of one number of threads, in the same words. */
static void report(double* times, int count) {
  const int third = count / 3;
  double ends[2] = {1, 1};
  for (int i = 0; i < 2 && third > 1; ++i) {
    double part[third];
    memcpy(part, times + (i ? count - third : 0), sizeof part);
    qsort(part, third, sizeof *part, ascending);
    ends[i] = part[third / 2];
  }
  qsort(times, count, sizeof *times, ascending);
  const double median = (times[count / 2] + times[(count - 1) / 2]) / 2, p90 = times[(9 * count + 9) / 10 - 1];
  struct utsname system;
  uname(&system);
  printf("{\"equal\": %s, \"difference\": %d, \"machine\": \"%s\", \"height\": %d, \"width\": %d, \"threads\": %d, "
         "\"repeats\": %d, \"median_s\": %.6f, \"p90_s\": %.6f, \"minimum_s\": %.6f, \"spread\": %.3f, "
         "\"drift\": %.3f, \"frames_per_s\": %.3f}\n", difference ? "false" : "true", difference, system.machine,
         options.height, options.width, options.threads, count, median, p90, times[0], (p90 - times[0]) / median,
         ends[1] / ends[0], 1 / median);
}

static void bench(int64_t channels) {
  const size_t size = (size_t)(options.height * channels * options.width);
  Picture noise = {options.height, options.width, channels, malloc(size)};
  uint32_t state = 1;
  for (size_t i = 0; noise.pixels && i < size; ++i)
    noise.pixels[i] = (uint8_t)((state = 1664525 * state + 1013904223) >> 24);
  double* times = calloc(options.repeats, sizeof *times);
  if (!noise.pixels || !times) fail("there is not enough memory"), stop(kBad);
  for (int i = 0; i < 3; ++i) run(noise);
  const double begin = now();
  int count = 0;
  while (count < options.repeats && (count < 3 || now() - begin < options.seconds)) {
    const double start = now();
    run(noise);
    times[count++] = now() - start;
    doze(options.rest);
  }
  report(times, count);
}

static int parse(int count, char** words) {
  int at = 1;
  for (; at < count && !strncmp(words[at], "--", 2); at += 2) {
    const char *name = words[at], *value = at + 1 < count ? words[at + 1] : "";
    char rest;
    if (!strcmp(name, "--size")) {
      if (sscanf(value, "%dx%d%c", &options.height, &options.width, &rest) != 2) return -1;
    } else if (!strcmp(name, "--threads")) {
      if (sscanf(value, "%d%c", &options.threads, &rest) != 1 || options.threads < 1) return -1;
    } else if (!strcmp(name, "--repeats")) {
      if (sscanf(value, "%d%c", &options.repeats, &rest) != 1) return -1;
    } else if (!strcmp(name, "--seconds")) {
      if (sscanf(value, "%lf%c", &options.seconds, &rest) != 1) return -1;
    } else if (!strcmp(name, "--cool-down")) {
      if (sscanf(value, "%lf%c", &options.rest, &rest) != 1) return -1;
    } else if (!strcmp(name, "--upscale") && at + 2 < count) {
      options.in = value, options.out = words[++at + 1];
    } else return -1;
  }
  if (at < count) options.folder = words[at++];
  const int largest = 1 << 14;
  return at == count && options.height > 0 && options.height <= largest && options.width > 0 &&
         options.width <= largest && options.repeats > 0 && options.rest >= 0 ? 0 : -1;
}

int main(int count, char** words) {
  static char self[4096];
  cpu_set_t cores;
  if (parse(count, words)) return fputs(kWords, stderr), kUsage;
  if (!options.folder) options.folder = readlink("/proc/self/exe", self, sizeof self - 1) > 0 ? dirname(self) : ".";
  CPU_ZERO(&cores);
  const int most = sched_getaffinity(0, sizeof cores, &cores) ? 1 : CPU_COUNT(&cores);
  if (!options.threads) options.threads = most;
  if (options.threads > most) {
    fail("%d threads need as many cores, this program may use %d", options.threads, most);
    stop(kUsage);
  }
  for (int number = 0; number < 3; ++number) signal((const int[]){SIGILL, SIGSEGV, SIGBUS}[number], crashed);
  if (network_open(beside("model.so"), options.threads)) stop(kBad);
  if (options.in) return write_picture(options.out, run(read_picture(options.in))), 0;
  bench(check().channels);
  return 0;
}
