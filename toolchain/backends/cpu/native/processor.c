#include "processor.h"

#include <stddef.h>
#include <stdint.h>

#include "../../native/libc.h"

#if defined(__x86_64__)

enum { kA, kB, kC, kD };
enum { kNothing = 0, kAvx = 0x6, kAvx512 = 0xe6 }; /* registers that the system must keep for programs */

/* Intel 64 and IA-32 Architectures Software Developer's Manual 2A, CPUID; AMD64 Architecture Programmer's Manual 3, E. */
static const struct { const char* word; uint32_t leaf, part; uint8_t where, bit, state; } features[] = {
  {"pni", 1, 0, kC, 0, kNothing}, {"ssse3", 1, 0, kC, 9, kNothing}, {"fma", 1, 0, kC, 12, kAvx},
  {"cx16", 1, 0, kC, 13, kNothing},
  {"sse4_1", 1, 0, kC, 19, kNothing}, {"sse4_2", 1, 0, kC, 20, kNothing}, {"movbe", 1, 0, kC, 22, kNothing},
  {"popcnt", 1, 0, kC, 23, kNothing}, {"avx", 1, 0, kC, 28, kAvx}, {"f16c", 1, 0, kC, 29, kAvx},
  {"bmi1", 7, 0, kB, 3, kNothing}, {"avx2", 7, 0, kB, 5, kAvx}, {"bmi2", 7, 0, kB, 8, kNothing},
  {"avx512f", 7, 0, kB, 16, kAvx512}, {"avx512dq", 7, 0, kB, 17, kAvx512}, {"adx", 7, 0, kB, 19, kNothing},
  {"avx512ifma", 7, 0, kB, 21, kAvx512}, {"avx512cd", 7, 0, kB, 28, kAvx512}, {"avx512bw", 7, 0, kB, 30, kAvx512},
  {"avx512vl", 7, 0, kB, 31, kAvx512}, {"avx512vbmi", 7, 0, kC, 1, kAvx512}, {"avx512_vbmi2", 7, 0, kC, 6, kAvx512},
  {"gfni", 7, 0, kC, 8, kNothing}, {"vaes", 7, 0, kC, 9, kAvx}, {"vpclmulqdq", 7, 0, kC, 10, kAvx},
  {"avx512_vnni", 7, 0, kC, 11, kAvx512}, {"avx512_bitalg", 7, 0, kC, 12, kAvx512},
  {"avx512_vpopcntdq", 7, 0, kC, 14, kAvx512}, {"avx512_vp2intersect", 7, 0, kD, 8, kAvx512},
  {"avx512_fp16", 7, 0, kD, 23, kAvx512}, {"avx_vnni", 7, 1, kA, 4, kAvx}, {"avx512_bf16", 7, 1, kA, 5, kAvx512},
  {"abm", 0x80000001, 0, kC, 5, kNothing}, {"sse4a", 0x80000001, 0, kC, 6, kNothing},
  {"xop", 0x80000001, 0, kC, 11, kAvx}, {"fma4", 0x80000001, 0, kC, 16, kAvx}, {"tbm", 0x80000001, 0, kC, 21, kNothing},
};

static void ask(uint32_t leaf, uint32_t part, uint32_t found[4]) {
  __asm__ volatile("cpuid" : "=a"(found[kA]), "=b"(found[kB]), "=c"(found[kC]), "=d"(found[kD]) : "a"(leaf), "c"(part));
}

static uint32_t kept_state(void) {
  uint32_t found[4], low, high;
  ask(1, 0, found);
  if (!(found[kC] & (1u << 27))) return 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int has(size_t at) {
  uint32_t found[4];
  ask(features[at].leaf & 0x80000000, 0, found);
  if (found[kA] < features[at].leaf) return 0;
  ask(features[at].leaf, 0, found);
  if (features[at].part) {
    if (found[kA] < features[at].part) return 0;
    ask(features[at].leaf, features[at].part, found);
  }
  return found[features[at].where] >> features[at].bit & 1 && (kept_state() & features[at].state) == features[at].state;
}

#elif defined(__linux__)

/* Linux's arch/arm64/include/uapi/asm/hwcap.h, and that of arch/arm. */
static const struct { const char* word; uint8_t which, bit; } features[] = {
#ifdef __aarch64__
  {"fp", 0, 0}, {"asimd", 0, 1}, {"crc32", 0, 7}, {"atomics", 0, 8}, {"fphp", 0, 9}, {"asimdhp", 0, 10},
  {"asimdrdm", 0, 12}, {"jscvt", 0, 13}, {"fcma", 0, 14}, {"lrcpc", 0, 15}, {"sha3", 0, 17}, {"asimddp", 0, 20},
  {"sve", 0, 22}, {"asimdfhm", 0, 23}, {"ilrcpc", 0, 26}, {"flagm", 0, 27}, {"sb", 0, 29}, {"sve2", 1, 1},
  {"flagm2", 1, 7}, {"frint", 1, 8}, {"svef32mm", 1, 10}, {"svef64mm", 1, 11}, {"i8mm", 1, 13}, {"bf16", 1, 14},
  {"cssc", 1, 34}, {"sve2p1", 1, 36}, {"mops", 1, 43}, {"hbc", 1, 44}, {"sveb16b16", 1, 45}, {"lrcpc3", 1, 46},
  {"faminmax", 1, 50},
#else
  {"neon", 0, 12}, {"vfpv3", 0, 13}, {"vfpv4", 0, 16}, {"idiva", 0, 17}, {"idivt", 0, 18}, {"asimdhp", 0, 23},
  {"fphp", 0, 22}, {"asimddp", 0, 24}, {"asimdfhm", 0, 25}, {"bf16", 0, 26}, {"i8mm", 0, 27}, {"crc32", 1, 4},
  {"sb", 1, 5},
#endif
};
enum { kHardware = 16, kHardware2 = 26 };
unsigned long getauxval(unsigned long type);

static int has(size_t at) {
  const uint64_t bits = getauxval(features[at].which ? kHardware2 : kHardware);
  return bits >> features[at].bit & 1;
}

#elif defined(_WIN32)

/* winnt.h, PF_ARM_..._INSTRUCTIONS_AVAILABLE. Older systems know few of these numbers; so words of an extension whose
 * number is recent stand under one that every processor with it has: dot products for ARMv8.2, the pointer-sized loads of
 * ARMv8.3 (LRCPC) for what it and 8.4 brought, products of matrices for the rest. */
enum { kCrc = 31, kAtomics = 34, kDots = 43, kLoads = 45, kProducts = 66 };
static const struct { const char* word; uint8_t number; } features[] = {
  {"asimd", 0}, {"crc32", kCrc}, {"atomics", kAtomics}, {"asimddp", kDots}, {"asimdhp", kDots}, {"asimdrdm", kDots},
  {"fphp", kDots}, {"lrcpc", kLoads}, {"asimdfhm", kProducts}, {"bf16", kProducts}, {"fcma", kProducts},
  {"flagm", kProducts}, {"flagm2", kProducts}, {"frint", kProducts}, {"i8mm", kProducts}, {"ilrcpc", kProducts},
  {"jscvt", kProducts}, {"sb", kProducts}, {"sha3", kProducts},
};
__attribute__((dllimport)) int IsProcessorFeaturePresent(uint32_t number);
static int has(size_t at) { return !features[at].number || IsProcessorFeaturePresent(features[at].number); }

#else

/* Apple's processors: every one that runs macOS has these. */
static const struct { const char* word; } features[] = {
  {"fp"}, {"asimd"}, {"crc32"}, {"atomics"}, {"fphp"}, {"asimdhp"}, {"asimdrdm"}, {"jscvt"}, {"fcma"}, {"lrcpc"},
  {"sha3"}, {"asimddp"}, {"asimdfhm"}, {"ilrcpc"}, {"flagm"}, {"flagm2"}, {"frint"}, {"sb"},
};
static int has(size_t at) { return (void)at, 1; }

#endif

static int matches(const char* one, const char* other) {
  for (; *one && *one == *other; ++one, ++other) {}
  return *one == *other;
}

const char* processor_lacks(const char* const* words) {
  for (; *words; ++words) {
    size_t at = 0;
    while (at < sizeof features / sizeof *features && !matches(features[at].word, *words)) ++at;
    if (at < sizeof features / sizeof *features && !has(at)) return *words;
  }
  return NULL;
}
