"""The functions that all kernels share, in OpenCL C: the words in which the templates speak."""

from __future__ import annotations

from toolchain.reference.normalization import GUESS, ROUNDS

_ITEM = """\
// The first of the `size` things along an axis of which this work-item takes care.
static inline int item(int axis, int size) {
  return convert_int(get_global_id(axis)) * size;
}
"""

_INVERSE_ROOT = f"""\
// About 1 / sqrt(value): Newton's iteration, in products and sums alone, which every device rounds alike.
static inline float inverse_root(float value) {{
  const float part = value * 0.5f;
  float root = as_float({GUESS} - (as_int(value) >> 1));
  for (int i = 0; i < {ROUNDS}; ++i) root = root * (1.5f - part * root * root);
  return root;
}}
"""

COMMON = (
    f"""\
// The integer reference rounds every product and every sum by itself.
#pragma OPENCL FP_CONTRACT OFF

{_ITEM}"""
    + """
// Clamp, round half to even, add the zero point: a code 0..255.
static inline uint requantize(float value, float low, float high, int zero_point) {
  return convert_uint(convert_int_rte(clamp(value, low, high)) + zero_point);
}

static inline float dequantize(uint code, int zero_point, float multiplier) {
  return convert_float(convert_int(code) - zero_point) * multiplier;
}

static inline float prelu(float value, float slope) {
  return value < 0.0f ? value * slope : value;
}

// Four codes as a word, the first in the lowest byte; and one of them.
static inline uint pack4(uint a, uint b, uint c, uint d) {
  return a | (b << 8) | (c << 16) | (d << 24);
}

static inline uint code_of(uint word, int position) {
  return (word >> (8 * position)) & 255u;
}

"""
    + _INVERSE_ROOT
)

_PLAIN = """\
  const uchar4 c = as_uchar4(codes);
  const char4 w = as_char4(weights);
  return sum + c.x * w.x + c.y * w.y + c.z * w.z + c.w * w.w;
"""

DOT = f"""
// sum + four unsigned codes times four signed weights, exact in 32 bits.
static inline int dot4(int sum, uint codes, uint weights) {{
{_PLAIN}}}
"""

DOT_KHR = f"""
// sum + four unsigned codes times four signed weights, exact in 32 bits.
static inline int dot4(int sum, uint codes, uint weights) {{
#ifdef __opencl_c_integer_dot_product_input_4x8bit_packed
  return sum + dot_4x8packed_us_int(codes, weights);
#else
{_PLAIN}#endif
}}
"""


_FLOAT32_TENSORS = """\
// What the host says of GPUs without cl_khr_fp16: tensors are stored as they are computed with.
#ifdef FLOAT32_TENSORS
#define half float
#define vload_half(offset, place) (*(place))
#define vload_half2 vload2
#define vload_half4 vload4
#define vload_half8 vload8
#define vstore_half(value, offset, place) (*(place) = (value))
#define vstore_half2 vstore2
#define vstore_half4 vstore4
#define vstore_half8 vstore8
#endif
"""

_FUNCTIONS = """\
// Functions of a formula: what has a limit reaches it without becoming a NaN on the way.
static inline float bounded_exp(float x) {
  return exp(clamp(x, -87.0f, 88.0f));
}

static inline float bounded_log(float x) {
  return log(fmax(x, 0x1p-126f));
}

static inline float sigmoid(float x) {
  return 1.0f / (1.0f + bounded_exp(-x));
}

static inline float silu(float x) {
  return x * sigmoid(x);
}

static inline float softplus(float x) {
  return fmax(x, 0.0f) + log(1.0f + bounded_exp(-fabs(x)));
}

static inline float gelu(float x) {
  return 0.5f * x * (1.0f + erf(x * M_SQRT1_2_F));
}

static inline float gelu_tanh(float x) {
  return 0.5f * x * (1.0f + tanh((x + 0.044715f * x * x * x) * (M_SQRT1_2_F * M_2_SQRTPI_F)));
}

// Of what is not negative.
static inline float power(float x, float exponent) {
  return x > 0.0f ? powr(x, exponent) : x * 0.0f;
}
"""

FLOATS = f"""{_FLOAT32_TENSORS}
{_ITEM}
{_FUNCTIONS}
static inline float prelu(float value, float slope) {{
  return value < 0.0f ? value * slope : value;
}}

// A pixel's code as the network's number, or 0 outside of the picture.
static inline float pixel(uchar code, int inside, float step) {{
  return inside ? convert_float(code) * step : 0.0f;
}}

"""
"""What stands before a kernel of a float network: its products and sums may be fused."""


def prelude(*, integer_dot: bool) -> str:
    """Return what stands before a kernel; ``integer_dot``: with the extension's dot product where the driver has it."""
    return COMMON + (DOT_KHR if integer_dot else DOT) + "\n"
