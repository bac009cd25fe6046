"""Why cases of ONNX's suite do not pass, each in a sentence."""

REASONS = {
    "bernoulli": "the suite holds one draw of numpy's generator; ours is held to the distribution instead",
    "training_dropout": "the suite holds one draw of numpy's generator; ours is held to the distribution instead",
    "image_decoder": "decodes pictures from bytes, which no gradient passes; a batch comes decoded",
    "regex_full_match": "text only: regular expressions from an upload could be made to run for ever",
    "adagrad": "a step of an optimizer, not a network",
    "adam": "a step of an optimizer, not a network",
    "momentum": "a step of an optimizer, not a network",
    "gradient_of": "asks for gradients within the file, which is training and not a network",
    "resize_downsample_scales_linear_align_corners": (
        "the suite aligns the corners of a size that it has not rounded; the specification rounds it, and so does "
        "onnxruntime"
    ),
    "resize_downsample_scales_cubic_align_corners": (
        "the suite aligns the corners of a size that it has not rounded; the specification rounds it, and so does "
        "onnxruntime"
    ),
    "maxunpool_export_with_output_shape": (
        "the suite's indices do not count in the output's own shape, as MaxPool's do; onnxruntime agrees with us"
    ),
    "dft_inverse": "the suite's own rounding, 1.9e-7 where the exact value is 0, is beyond its tolerance of 1e-7",
    "attention_4d_causal_fp16_expanded": "two of 192 numbers in half precision differ by one rounding",
    "loop16_seq_none": "ONNX's runner cannot compare sequences that begin with a single number; the values agree",
}
"""The reason for each case whose name holds the key."""


def reason(key: str) -> str | None:
    """Return why a case does not pass; None where nobody has said so."""
    return next((why for part, why in REASONS.items() if part in key), None)
