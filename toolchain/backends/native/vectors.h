/* Vectors of 16 bytes, as GCC and clang write them for every processor; where one puts bytes in any order in a step, what is
 * done so is worth it. */
#pragma once

#include <stdint.h>

#ifdef __SSE4_1__
#define _MM_MALLOC_H_INCLUDED /* what GCC and clang take from the C library's header */
#define __MM_MALLOC_H
#include <immintrin.h>
#endif

#ifndef SHUFFLES
#if defined(__SSSE3__) || defined(__ARM_NEON)
#define SHUFFLES 1
#else
#define SHUFFLES 0
#endif
#endif

typedef uint8_t Bytes __attribute__((vector_size(16)));
typedef int32_t Numbers __attribute__((vector_size(16)));
typedef int16_t Words __attribute__((vector_size(8)));

/* The same anywhere in memory. */
typedef uint8_t AnyBytes __attribute__((vector_size(16), aligned(1), may_alias));
typedef int16_t AnyWords __attribute__((vector_size(8), aligned(1), may_alias));
typedef int32_t AnyNumbers __attribute__((vector_size(16), aligned(1), may_alias));

/* Four samples. */
static inline Numbers four_samples(const int16_t* from) {
#ifdef __SSE4_1__ /* of which GCC makes four instructions otherwise */
  return (Numbers)_mm_cvtepi16_epi32(_mm_loadl_epi64((const __m128i*)(const void*)from));
#else
  return __builtin_convertvector(*(const AnyWords*)from, Numbers);
#endif
}

/* Elements of one vector after the other, by their numbers. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(one, other, ...) __builtin_shufflevector(one, other, __VA_ARGS__)
#define SHUFFLE_NUMBERS SHUFFLE
#else
#define SHUFFLE(one, other, ...) __builtin_shuffle(one, other, (Bytes){__VA_ARGS__})
#define SHUFFLE_NUMBERS(one, other, ...) __builtin_shuffle(one, other, (Numbers){__VA_ARGS__})
#endif
