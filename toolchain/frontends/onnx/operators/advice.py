"""What to do about an operator without an equivalent: id of the advice, and the fix."""

from __future__ import annotations

from collections.abc import Mapping

UNKNOWN = (
    "unknown-operator",
    "build the network of convolutions, linear layers, average pooling and ReLU, "
    "train it again and export it",
)
_RECURRENT = (
    "recurrent",
    "use convolutions over time (1-D) in its place and train again",
)
_ATTENTION = ("attention", "use convolutions in its place and train again")
_NORM = ("normalisation", "use batch normalisation in its place and train again")
_CONTROL = (
    "control-flow",
    "export the model with its branches and loops worked out, for one input shape",
)
_POOL = ("pooling", "use average pooling in its place and train again")
_FUNCTION = ("activation", "use ReLU in its place and train again")
_PRODUCT = (
    "product",
    "add or concatenate them, or leave the gate out, and train again",
)
_INTEGERS = ("integer-operators", "export the float model, or one in QDQ format")
_TREE = ("trees", "use a linear model or a multi-layer perceptron in its place")
_MIX = ("attention", "use a linear layer or a convolution in its place")

FIXES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("LSTM", "GRU", "RNN", "Scan"), _RECURRENT),
    **dict.fromkeys(("If", "Loop"), _CONTROL),
    **dict.fromkeys(("Attention", "MultiHeadAttention", "Einsum"), _ATTENTION),
    **dict.fromkeys(
        (
            *("InstanceNormalization", "LayerNormalization", "GroupNormalization"),
            *("LpNormalization", "LRN", "MeanVarianceNormalization", "Normalizer"),
            *("RMSNormalization", "SimplifiedLayerNormalization"),
        ),
        _NORM,
    ),
    **dict.fromkeys(
        ("LpPool", "GlobalLpPool", "MaxUnpool", "MaxRoiPool", "RoiAlign"), _POOL
    ),
    **dict.fromkeys(
        (
            *("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Ceil", "Celu"),
            *("Clip", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu"),
            *("HardSigmoid", "HardSwish", "Hardmax", "Log", "Mish", "Pow", "PRelu"),
            *("Reciprocal", "Round", "Selu", "Shrink", "Sign", "Sin", "Sinh", "Sqrt"),
            *("Swish", "Tan", "ThresholdedRelu", "Max", "Min", "LeakyRelu"),
        ),
        _FUNCTION,
    ),
    **dict.fromkeys(("Mul", "Div"), _PRODUCT),
    **dict.fromkeys(
        (
            *("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearGlobalAveragePool"),
            *("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "QGemm"),
            "QuantizeLinear",
        ),
        _INTEGERS,
    ),
    **dict.fromkeys(("TreeEnsembleClassifier", "TreeEnsembleRegressor"), _TREE),
    "MatMul": _MIX,
    "Gemm": _MIX,
    "Resize": (
        "resize",
        "use nearest-neighbour upsampling by a whole factor and train again",
    ),
    "Upsample": (
        "resize",
        "use nearest-neighbour upsampling by a whole factor and train again",
    ),
    "Pad": ("padding", "pad with zeros in the convolution and train again"),
    **dict.fromkeys(
        ("Reshape", "Flatten", "Squeeze", "Transpose", "Unsqueeze"),
        ("samples-mixed", "leave the first axis to the samples"),
    ),
}
"""Operator → id, fix."""
