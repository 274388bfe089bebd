"""Networks before and after the lowering, in TVMScript: what users of TVM would read."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from tvm.script import ir as I
from tvm.script import relax as R
from tvm.script import tirx as T

S = 0.5
ZERO, FIVE = np.array(0, "uint8"), np.array(5, "uint8")
FINE, WIDE = 0.001953125, np.array(771, "uint16")  # 3 * 257
W0 = np.arange(4 * 3 * 9, dtype="int8").reshape(4, 3, 3, 3)
W1 = np.arange(12 * 4, dtype="int8").reshape(12, 4, 1, 1)
W2 = np.ones((4, 8, 1, 1), "int8")
STEP4, STEP12 = np.full(4, 0.25, "float32"), np.full(12, 0.25, "float32")
NIL4, NIL12 = np.zeros(4, "int8"), np.zeros(12, "int8")
BIAS4, BIAS12 = np.arange(4, dtype="int32"), np.arange(12, dtype="int32")
ACC4, ACC12 = np.full(4, 0.125, "float32"), np.full(12, 0.125, "float32")
NONE = np.array(0, "int32")

# What the kernels get: weights by words of four input channels, biases with the zero point folded in, multipliers.
PACKED0 = np.zeros((4, 1, 3, 3, 4), "int8")
PACKED0[:, 0, :, :, :3] = W0.transpose(0, 2, 3, 1)
PACKED1 = W1.reshape(12, 1, 1, 1, 4)
PACKED2 = np.ones((4, 2, 1, 1, 4), "int8")
FOLDED4 = BIAS4 - 5 * 8
FOLDED12 = BIAS12 - 5 * W1.astype("int32").sum(axis=(1, 2, 3), dtype="int32")
SCALED4, SCALED12 = STEP4, STEP12  # input and output scales are the same
# To 16 bits, 256 times as fine, and from there.
FINER4, FOLDED_WIDE, COARSER4 = STEP4 * 256, BIAS4 - 771 * 4, STEP4 / 256
W3, PACKED3 = np.ones((4, 4, 1, 1), "int8"), np.ones((4, 1, 1, 1, 4), "int8")

h = TypeVar("h")
w = TypeVar("w")


@I.ir_module
class ConvAnchorShuffle:
    """Convolution and ReLU, convolution and anchor, depth-to-space."""

    @R.function
    def main(x: R.Tensor((1, 3, h, w), "float32")) -> R.Tensor((1, 3, "h * 2", "w * 2"), "float32"):
        with R.dataflow():
            q = R.quantize(x, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="uint8")
            d = R.dequantize(q, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="float32")
            w0 = R.dequantize(R.const(W0), R.const(STEP4), R.const(NIL4), axis=0, out_dtype="float32")
            b0 = R.dequantize(R.const(BIAS4), R.const(ACC4), R.const(NONE), axis=0, out_dtype="float32")
            c0 = R.add(R.nn.conv2d(d, w0, padding=[1, 1, 1, 1]), R.reshape(b0, R.shape([1, 4, 1, 1])))
            q0 = R.quantize(R.nn.relu(c0), R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="uint8")
            d0 = R.dequantize(q0, R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="float32")
            j = R.concat((d, d, d, d), axis=1)
            a = R.quantize(j, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="uint8")
            anchor = R.dequantize(a, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="float32")
            w1 = R.dequantize(R.const(W1), R.const(STEP12), R.const(NIL12), axis=0, out_dtype="float32")
            b1 = R.dequantize(R.const(BIAS12), R.const(ACC12), R.const(NONE), axis=0, out_dtype="float32")
            c1 = R.add(R.nn.conv2d(d0, w1), R.reshape(b1, R.shape([1, 12, 1, 1])))
            q1 = R.quantize(R.add(c1, anchor), R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="uint8")
            d1 = R.dequantize(q1, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="float32")
            split = R.reshape(d1, R.shape([1, 2, 2, 3, h, w]))
            moved = R.permute_dims(split, axes=[0, 3, 4, 1, 5, 2])
            y = R.reshape(moved, R.shape([1, 3, h * 2, w * 2]))
            R.output(y)
        return y


@I.ir_module(check_well_formed=False)  # kernels are only names here
class ConvAnchorShuffleLowered:
    """Two kernels, each with one rounding; the anchor is not copied together, and the second kernel writes pixels."""

    @T.prim_func(private=True)
    def pack_pixels():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_pack_pixels():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv0_3x3_3to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_conv0_3x3_3to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv1_1x1_4to12():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_conv1_1x1_4to12():
        T.evaluate(0)

    @R.function
    def main(x: R.Tensor((h, w, 3), "uint8")) -> R.Tensor(("h * 2", "w * 2", 3), "uint8"):
        cls = ConvAnchorShuffleLowered
        with R.dataflow():
            p = R.call_tir(
                cls.run_pack_pixels,
                (x, h, (w + 15) // 16, w),
                out_ty=R.Tensor((h + 2, 1, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            c0 = R.call_tir(
                cls.run_conv0_3x3_3to4,
                (p, R.const(PACKED0), R.const(BIAS4), R.const(SCALED4), h, (w + 15) // 16, w),
                out_ty=R.Tensor((h + 2, 1, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            c1 = R.call_tir(
                cls.run_conv1_1x1_4to12,
                (c0, p, R.const(PACKED1), R.const(FOLDED12), R.const(SCALED12), h, (w + 15) // 16, w),
                out_ty=R.Tensor((h * 2, w * 2, 3), "uint8"),
            )
            y: R.Tensor((h * 2, w * 2, 3), "uint8") = c1
            R.output(y)
        return y


@I.ir_module
class FloatAndConcat:
    """Convolution; its softmax, which has no integer kernel; both concatenated; convolution."""

    @R.function
    def main(x: R.Tensor((1, 3, h, w), "float32")) -> R.Tensor((1, 4, h, w), "float32"):
        with R.dataflow():
            q = R.quantize(x, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="uint8")
            d = R.dequantize(q, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="float32")
            w0 = R.dequantize(R.const(W0), R.const(STEP4), R.const(NIL4), axis=0, out_dtype="float32")
            b0 = R.dequantize(R.const(BIAS4), R.const(ACC4), R.const(NONE), axis=0, out_dtype="float32")
            c0 = R.add(R.nn.conv2d(d, w0, padding=[1, 1, 1, 1]), R.reshape(b0, R.shape([1, 4, 1, 1])))
            q0 = R.quantize(c0, R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="uint8")
            d0 = R.dequantize(q0, R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="float32")
            t = R.quantize(R.nn.softmax(d0, axis=1), R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="uint8")
            dt = R.dequantize(t, R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="float32")
            j = R.quantize(R.concat((d0, dt), axis=1), R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="uint8")
            dj = R.dequantize(j, R.const(S, "float32"), R.const(FIVE), axis=1, out_dtype="float32")
            w2 = R.dequantize(R.const(W2), R.const(STEP4), R.const(NIL4), axis=0, out_dtype="float32")
            c2 = R.add(R.nn.conv2d(dj, w2), R.reshape(b0, R.shape([1, 4, 1, 1])))
            q2 = R.quantize(c2, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="uint8")
            y = R.dequantize(q2, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="float32")
            R.output(y)
        return y


@I.ir_module(check_well_formed=False)  # kernels are only names here
class FloatAndConcatLowered:
    """The first convolution writes its part of the concatenation; softmax stays between unpack and quantize."""

    @T.prim_func(private=True)
    def pack_pixels():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_pack_pixels():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv0_3x3_3to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_conv0_3x3_3to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def unpack():
        T.evaluate(0)

    @T.prim_func(private=True)
    def quantize():
        T.evaluate(0)

    @T.prim_func(private=True)
    def rescale():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_rescale():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv1_1x1_8to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_conv1_1x1_8to4():
        T.evaluate(0)

    @R.function
    def main(x: R.Tensor((h, w, 3), "uint8")) -> R.Tensor((h, w, 4), "uint8"):
        cls = FloatAndConcatLowered
        with R.dataflow():
            p = R.call_tir(
                cls.run_pack_pixels,
                (x, h, (w + 15) // 16, w),
                out_ty=R.Tensor((h + 2, 1, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            first = R.call_tir(
                cls.run_conv0_3x3_3to4,
                (p, R.const(PACKED0), R.const(BIAS4), R.const(SCALED4), h, (w + 15) // 16, w),
                out_ty=R.Tensor((h + 2, 2, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            real = R.call_tir(cls.unpack, (first, h, (w + 15) // 16, w), out_ty=R.Tensor((1, 4, h, w), "float32"))
            bent: R.Tensor((1, 4, h, w), "float32") = R.nn.softmax(real, axis=1)
            codes = R.call_tir(
                cls.quantize,
                (bent, h, (w + 15) // 16, w),
                out_ty=R.Tensor((h + 2, 1, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            both = R.call_tir_inplace(
                cls.run_rescale,
                (codes, h, (w + 15) // 16, w, first),
                inplace_indices=[4],
                out_ty=R.Tensor((h + 2, 2, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            c1 = R.call_tir(
                cls.run_conv1_1x1_8to4,
                (both, R.const(PACKED2), R.const(FOLDED4), R.const(SCALED4), h, (w + 15) // 16, w),
                out_ty=R.Tensor((h, w, 4), "uint8"),
            )
            y: R.Tensor((h, w, 4), "uint8") = c1
            R.output(y)
        return y


@I.ir_module
class Wide:
    """A convolution that writes 16 bits, and one that reads them."""

    @R.function
    def main(x: R.Tensor((1, 3, h, w), "float32")) -> R.Tensor((1, 4, h, w), "float32"):
        with R.dataflow():
            q = R.quantize(x, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="uint8")
            d = R.dequantize(q, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="float32")
            w0 = R.dequantize(R.const(W0), R.const(STEP4), R.const(NIL4), axis=0, out_dtype="float32")
            b0 = R.dequantize(R.const(BIAS4), R.const(ACC4), R.const(NONE), axis=0, out_dtype="float32")
            c0 = R.add(R.nn.conv2d(d, w0, padding=[1, 1, 1, 1]), R.reshape(b0, R.shape([1, 4, 1, 1])))
            q0 = R.quantize(c0, R.const(FINE, "float32"), R.const(WIDE), axis=1, out_dtype="uint16")
            d0 = R.dequantize(q0, R.const(FINE, "float32"), R.const(WIDE), axis=1, out_dtype="float32")
            w1 = R.dequantize(R.const(W3), R.const(STEP4), R.const(NIL4), axis=0, out_dtype="float32")
            c1 = R.add(R.nn.conv2d(d0, w1), R.reshape(b0, R.shape([1, 4, 1, 1])))
            q1 = R.quantize(c1, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="uint8")
            y = R.dequantize(q1, R.const(S, "float32"), R.const(ZERO), axis=1, out_dtype="float32")
            R.output(y)
        return y


@I.ir_module(check_well_formed=False)  # kernels are only names here
class WideLowered:
    """Between them lie a block of high bytes and one of low bytes; weights are those of 8 bits."""

    @T.prim_func(private=True)
    def pack_pixels():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_pack_pixels():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv0_3x3_3to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_conv0_3x3_3to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv1_1x1_4to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def run_conv1_1x1_4to4():
        T.evaluate(0)

    @R.function
    def main(x: R.Tensor((h, w, 3), "uint8")) -> R.Tensor((h, w, 4), "uint8"):
        cls = WideLowered
        with R.dataflow():
            p = R.call_tir(
                cls.run_pack_pixels,
                (x, h, (w + 15) // 16, w),
                out_ty=R.Tensor((h + 2, 1, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            c0 = R.call_tir(
                cls.run_conv0_3x3_3to4,
                (p, R.const(PACKED0), R.const(BIAS4), R.const(FINER4), h, (w + 15) // 16, w),
                out_ty=R.Tensor((h + 2, 2, (w + 15) // 16 * 16 + 32), "uint32"),
            )
            c1 = R.call_tir(
                cls.run_conv1_1x1_4to4,
                (c0, R.const(PACKED3), R.const(FOLDED_WIDE), R.const(COARSER4), h, (w + 15) // 16, w),
                out_ty=R.Tensor((h, w, 4), "uint8"),
            )
            y: R.Tensor((h, w, 4), "uint8") = c1
            R.output(y)
        return y


@I.ir_module(check_well_formed=False)
class ConvAnchorShuffleStreamed:
    """One call, with the constants of both kernels."""

    @T.prim_func(private=True)
    def pack_pixels():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv0_3x3_3to4():
        T.evaluate(0)

    @T.prim_func(private=True)
    def conv1_1x1_4to12():
        T.evaluate(0)

    @T.prim_func(private=True)
    def fill_rows_uint32():
        T.evaluate(0)

    @T.prim_func(private=True)
    def keep_rows_uint32():
        T.evaluate(0)

    @T.prim_func(private=True)
    def stream():
        T.evaluate(0)

    @R.function
    def main(x: R.Tensor((h, w, 3), "uint8")) -> R.Tensor(("h * 2", "w * 2", 3), "uint8"):
        cls = ConvAnchorShuffleStreamed
        with R.dataflow():
            picture = R.call_tir(
                cls.stream,
                (
                    x,
                    R.const(PACKED0),
                    R.const(BIAS4),
                    R.const(SCALED4),
                    R.const(PACKED1),
                    R.const(FOLDED12),
                    R.const(SCALED12),
                    h,
                    (w + 15) // 16,
                    w,
                ),
                out_ty=R.Tensor((h * 2, w * 2, 3), "uint8"),
            )
            y = picture
            R.output(y)
        return y
