/* Checks a network's picture on the device that it runs on, and times it there: a program that needs no other library
 * than the network's, in a folder with model.so, golden.ppm and expected.ppm (.pgm for one channel). */
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

#include "clipfree.h"
#include "imports.h"

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

typedef struct {
  int64_t height, width, channels;
  uint8_t* pixels; /* row by row, channels side by side */
} Picture;

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

static const clipfree_functions* functions;
static clipfree* network;

/* End with what a status means; sentences that are there already are kept. */
static void stop_for(int32_t status, const char* sentence) {
  const char* const hint = status == CLIPFREE_WRONG_CPU ? "; deploy the model for another target"
                           : status == CLIPFREE_WRONG_SIZE ? "; use a larger picture" : "";
  fail("%s%s", *sentence ? sentence : functions->message(status), hint);
  stop(status == CLIPFREE_WRONG_CPU ? kProcessor : status == CLIPFREE_WRONG_SIZE ? kUsage : kBad);
}

static void open_network(const char* path) {
  static Library library;
  char message[CLIPFREE_MESSAGE];
  if (library_open(&library, path, imports)) stop(kBad);
  void* const symbol = library_symbol(&library, "clipfree_get_functions");
  const clipfree_functions* (*get)(uint32_t);
  memcpy(&get, &symbol, sizeof get);
  functions = symbol ? get(CLIPFREE_ABI) : NULL;
  if (!functions) fail("%s holds no network for this program; deploy the model again", path), stop(kBad);
  const clipfree_options wishes = {.size = sizeof wishes, .threads = options.threads};
  const int32_t status = functions->open(&network, &wishes, message);
  if (status) stop_for(status, message);
}

static clipfree_picture picture_of(Picture picture) {
  return (clipfree_picture){.size = sizeof(clipfree_picture), .format = picture.channels == 3 ? CLIPFREE_RGB : CLIPFREE_GREY,
                            .height = picture.height, .width = picture.width,
                            .planes = {picture.pixels}, .strides = {picture.width * picture.channels}};
}

/* The pixels of what it returns live until the next call. */
static Picture run(Picture input) {
  static Picture output;
  uint32_t height, width;
  int32_t status = functions->result_size(input.height, input.width, &height, &width);
  if (!status && (output.height != height || output.width != width || output.channels != input.channels)) {
    free(output.pixels);
    output = (Picture){height, width, input.channels, malloc((size_t)height * width * input.channels)};
    if (!output.pixels) fail("there is not enough memory"), stop(kBad);
  }
  const clipfree_picture source = picture_of(input), result = picture_of(output);
  status = functions->upscale(network, &source, &result);
  if (status) stop_for(status, functions->error(network));
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
  open_network(beside("model.so"));
  if (options.in) return write_picture(options.out, run(read_picture(options.in))), 0;
  bench(check().channels);
  return 0;
}
