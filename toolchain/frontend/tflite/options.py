"""Which options of TensorFlow Lite's operators are read: the table in the file, and its fields."""

from __future__ import annotations

from typing import Final

_ACTIVATION = ("FusedActivationFunction",)
_POOL = ("Padding", "StrideH", "StrideW", "FilterHeight", "FilterWidth", *_ACTIVATION)
_CONVOLUTION = ("Padding", "StrideH", "StrideW", "DilationHFactor", "DilationWFactor", *_ACTIVATION)
_RESIZE = ("AlignCorners", "HalfPixelCenters")
_REDUCER = ("ReducerOptions", ("KeepDims",))

OPTIONS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "ADD": ("AddOptions", _ACTIVATION),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _POOL),
    "CONCATENATION": ("ConcatenationOptions", ("Axis", *_ACTIVATION)),
    "CONV_2D": ("Conv2DOptions", _CONVOLUTION),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", (*_CONVOLUTION, "DepthMultiplier")),
    "DEPTH_TO_SPACE": ("DepthToSpaceOptions", ("BlockSize",)),
    "DIV": ("DivOptions", _ACTIVATION),
    "FULLY_CONNECTED": ("FullyConnectedOptions", ("WeightsFormat", "KeepNumDims", *_ACTIVATION)),
    "GATHER": ("GatherOptions", ("Axis", "BatchDims")),
    "GELU": ("GeluOptions", ("Approximate",)),
    "LEAKY_RELU": ("LeakyReluOptions", ("Alpha",)),
    "MAX_POOL_2D": ("Pool2DOptions", _POOL),
    "MEAN": _REDUCER,
    "MIRROR_PAD": ("MirrorPadOptions", ("Mode",)),
    "MUL": ("MulOptions", _ACTIVATION),
    "PACK": ("PackOptions", ("Axis", "ValuesCount")),
    "REDUCE_MAX": _REDUCER,
    "RESIZE_BILINEAR": ("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": ("ResizeNearestNeighborOptions", _RESIZE),
    "SPACE_TO_DEPTH": ("SpaceToDepthOptions", ("BlockSize",)),
    "SPLIT": ("SplitOptions", ("NumSplits",)),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        ("BeginMask", "EndMask", "EllipsisMask", "NewAxisMask", "ShrinkAxisMask"),
    ),
    "SUB": ("SubOptions", _ACTIVATION),
    "SUM": _REDUCER,
    "TRANSPOSE_CONV": ("TransposeConvOptions", ("Padding", "StrideH", "StrideW", *_ACTIVATION)),
    "UNPACK": ("UnpackOptions", ("Axis", "Num")),
}
"""By operator, those that have options that matter here. What a file leaves out has the format's default."""
