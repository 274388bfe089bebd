/* Runs the network of a bundle without TVM: model.so holds its kernels, its constants, and the program that calls them,
 * which TVM's virtual machine would run. One thread at a time may use this. */
#pragma once

#include <stdint.h>

typedef struct {
  int64_t height, width, channels;
  uint8_t* pixels; /* row by row, channels side by side */
} Picture;

/* Load a bundle's model.so, to run on so many threads. Returns 0, or -1 with `failure` set. */
int network_open(const char* path, int threads);

/* Upscale `input`; the pixels of `output` live until the next call. Returns 0, or -1 with `failure` set. */
int network_run(const Picture* input, Picture* output);
