"""Operators that slide windows over images, or look at regions of them."""

import numpy as np

from tests.network.versions.case import Case, case, floats, ints, one, whole

LINE, IMAGE, VOLUME = floats(2, 4, 7), floats(2, 4, 6, 7), floats(1, 2, 4, 5, 4)
SQUARE = floats(1, 1, 4, 4)


def pools(name: str, **rest: int) -> list[Case]:
    """Return what pooling is tried on."""
    first = {"MaxPool": 10, "AveragePool": 10, "LpPool": 18}[name]
    dilated = {"MaxPool": 10, "AveragePool": 19, "LpPool": 18}[name]
    return [
        case(name, LINE, kernel_shape=[3], **rest),
        case(name, IMAGE, kernel_shape=[2, 3], **rest),
        case(name, VOLUME, kernel_shape=[2, 2, 2], strides=[2, 1, 2], **rest),
        case(name, IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], **rest),
        case(name, IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 1, 2, 1], **rest),
        *(
            case(name, IMAGE, kernel_shape=[3, 2], strides=[2, 2], auto_pad=how, **rest)
            for how in ("SAME_UPPER", "SAME_LOWER", "VALID")
        ),
        case(name, IMAGE, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, since=first, **rest),
        case(name, SQUARE, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1, since=first, **rest),
        case(name, floats(1, 1, 5), kernel_shape=[2], strides=[3], pads=[1, 1], ceil_mode=1, since=first, **rest),
        case(name, IMAGE, kernel_shape=[2, 2], dilations=[2, 3], since=dilated, **rest),
        case(
            name,
            IMAGE,
            kernel_shape=[2, 2],
            dilations=[2, 2],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
            ceil_mode=1,
            since=dilated,
            **rest,
        ),
    ]


ROIS = np.array([[0, 0, 0, 3, 3], [0, 1, 1, 5, 4], [1, 0, 2, 6, 5]], "float32")
BOXES = np.array([[[0, 0, 1, 1], [0, 0.1, 1, 1.1], [0, -0.1, 1, 0.9], [0, 10, 1, 11], [0, 10.1, 1, 11.1]]], "float32")
CENTRED = np.array([[[0.5, 0.5, 1, 1], [0.5, 0.6, 1, 1], [0.5, 10.5, 1, 1], [0.5, 100.5, 1, 1]]], "float32")
SCORES = np.array([[[0.9, 0.75, 0.6, 0.95, 0.5], [0.1, 0.2, 0.8, 0.3, 0.7]]], "float32")

CASES: list[Case] = [
    # convolution
    case("Conv", IMAGE, floats(3, 4, 3, 3), floats(3)),
    case("Conv", LINE, floats(3, 4, 3), pads=[2, 1], strides=[2]),
    case("Conv", VOLUME, floats(3, 2, 2, 2, 2), floats(3), dilations=[2, 1, 2]),
    case("Conv", IMAGE, floats(4, 2, 3, 3), group=2, pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
    case("Conv", IMAGE, floats(4, 1, 3, 3), group=4, dilations=[2, 2]),
    *(
        case("Conv", IMAGE, floats(3, 4, 3, 2), auto_pad=how, strides=[2, 2])
        for how in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    ),
    case("ConvTranspose", IMAGE, floats(4, 3, 3, 3), floats(3)),
    case("ConvTranspose", LINE, floats(4, 3, 3), strides=[2], pads=[1, 0], output_padding=[1]),
    case("ConvTranspose", IMAGE, floats(4, 2, 3, 3), group=2, strides=[2, 3], dilations=[2, 1]),
    case("ConvTranspose", IMAGE, floats(4, 3, 3, 3), strides=[3, 2], output_shape=[18, 15]),
    case("ConvTranspose", IMAGE, floats(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    case("ConvTranspose", IMAGE, floats(4, 3, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    case("ConvTranspose", IMAGE, floats(4, 3, 3, 3), strides=[2, 2], auto_pad="VALID"),
    case("ConvTranspose", VOLUME, floats(2, 3, 2, 2, 2), strides=[2, 1, 2], pads=[1, 0, 0, 0, 0, 1]),
    case("DeformConv", floats(1, 2, 5, 5), floats(3, 2, 2, 2), floats(1, 8, 4, 4, low=-0.4, high=0.4)),
    case(
        "DeformConv",
        floats(1, 2, 5, 5),
        floats(3, 2, 2, 2),
        floats(1, 16, 4, 4, low=-1, high=1),
        floats(3),
        floats(1, 8, 4, 4, low=0),
        offset_group=2,
    ),
    case(
        "DeformConv",
        floats(2, 2, 5, 5),
        floats(4, 1, 3, 3),
        floats(2, 18, 3, 3),
        group=2,
        strides=[2, 2],
        pads=[1, 1, 1, 1],
    ),
    case("Col2Im", floats(1, 5, 5), ints(5, 5), ints(1, 5)),
    case("Col2Im", floats(1, 8, 4), ints(5, 5), ints(2, 2), strides=[2, 2], dilations=[1, 2]),
    # pooling
    *pools("MaxPool"),
    *(
        case("MaxPool", value, kernel_shape=[2] * (value.ndim - 2), outputs=2, since=8)
        for value in (LINE, IMAGE, VOLUME)
    ),
    case("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], outputs=2, since=8),
    case("MaxPool", IMAGE, kernel_shape=[2, 2], storage_order=1, outputs=2, since=8),
    case("MaxPool", whole(1, 1, 4, 4, low=-100, high=100, dtype="int8"), kernel_shape=[2, 2], since=12),
    case(
        "MaxPool", whole(1, 1, 4, 4, low=0, high=200, dtype="uint8"), kernel_shape=[2, 2], pads=[1, 1, 1, 1], since=12
    ),
    *pools("AveragePool"),
    *(
        case("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=pads, count_include_pad=count)
        for pads in ([1, 1, 1, 1], [0, 1, 2, 0])
        for count in (0, 1)
    ),
    *(
        case(
            "AveragePool",
            floats(1, 1, 4, 4),
            kernel_shape=[3, 3],
            strides=[2, 2],
            pads=[1, 1, 1, 1],
            ceil_mode=1,
            count_include_pad=count,
            since=10,
        )
        for count in (0, 1)
    ),
    case("AveragePool", IMAGE, kernel_shape=[3, 3], auto_pad="SAME_UPPER", count_include_pad=1),
    case("AveragePool", VOLUME, kernel_shape=[3, 2, 2], pads=[1, 0, 0, 1, 1, 1], count_include_pad=1),
    case("AveragePool", IMAGE, kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1, since=19),
    *pools("LpPool"),
    case("LpPool", IMAGE, kernel_shape=[2, 2], p=3),
    case("LpPool", IMAGE, kernel_shape=[2, 2], p=1, pads=[1, 0, 0, 1]),
    *(case(name, value) for name in ("GlobalAveragePool", "GlobalMaxPool") for value in (LINE, IMAGE, VOLUME)),
    *(case("GlobalLpPool", value, p=p, same_as=21) for value in (LINE, IMAGE, VOLUME) for p in (2, 3)),
    case("GlobalLpPool", IMAGE, same_as=21),
    case("MaxUnpool", floats(1, 1, 2, 2), ints(5, 7, 13, 15).reshape(1, 1, 2, 2), kernel_shape=[2, 2], strides=[2, 2]),
    case(
        "MaxUnpool",
        floats(1, 1, 2, 2),
        ints(5, 7, 13, 15).reshape(1, 1, 2, 2),
        ints(1, 1, 5, 5),
        kernel_shape=[2, 2],
        strides=[2, 2],
    ),
    case("MaxUnpool", floats(1, 2, 2), ints(1, 3, 4, 6).reshape(1, 2, 2), kernel_shape=[2], strides=[2]),
    # regions
    case("MaxRoiPool", IMAGE, ROIS, pooled_shape=[2, 2], same_as=21),
    case(
        "MaxRoiPool",
        IMAGE,
        ROIS * np.array([1, 2, 2, 2, 2], "float32"),
        pooled_shape=[3, 2],
        spatial_scale=0.5,
        same_as=21,
    ),
    case("MaxRoiPool", IMAGE, np.array([[0, 5, 4, 9, 9], [1, 2, 2, 2, 2]], "float32"), pooled_shape=[2, 3], same_as=21),
    case("RoiAlign", IMAGE, ROIS[:, 1:], ints(0, 0, 1), output_height=2, output_width=3),
    case(
        "RoiAlign",
        IMAGE,
        ROIS[:, 1:],
        ints(0, 0, 1),
        output_height=2,
        output_width=2,
        sampling_ratio=2,
        spatial_scale=0.5,
    ),
    case("RoiAlign", IMAGE, ROIS[:, 1:], ints(0, 0, 1), output_height=2, output_width=2, mode="max", sampling_ratio=2),
    *(
        case(
            "RoiAlign",
            IMAGE,
            ROIS[:, 1:],
            ints(0, 0, 1),
            output_height=2,
            output_width=2,
            since=16,
            coordinate_transformation_mode=how,
        )
        for how in ("half_pixel", "output_half_pixel")
    ),
    case("NonMaxSuppression", BOXES, SCORES, one(3), one(0.5, "float32"), one(0.4, "float32")),
    case("NonMaxSuppression", BOXES, SCORES, one(2), one(0.5, "float32")),
    case("NonMaxSuppression", BOXES, SCORES, one(9)),
    case("NonMaxSuppression", BOXES, SCORES),
    case("NonMaxSuppression", BOXES[..., [2, 3, 0, 1]], SCORES, one(3), one(0.5, "float32"), one(0.0, "float32")),
    case("NonMaxSuppression", CENTRED, SCORES[..., :4], one(3), one(0.5, "float32"), center_point_box=1),
]
