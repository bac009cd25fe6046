"""Operators that sample images anew or pad them."""

import numpy as np

from tests.network.versions.case import Case, case, floats, ints, one, whole

SQUARE = floats(1, 1, 4, 4)
RESIZE = [
    {"mode": mode, "coordinate_transformation_mode": how}
    for mode in ("nearest", "linear", "cubic")
    for how in ("half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel")
]
NONE = np.zeros(0, "float32")


def scales(*values: float) -> "np.ndarray":  # type: ignore[type-arg]
    """Return factors for every axis."""
    return np.array(values, "float32")


CASES: list[Case] = [
    # sampling
    case("Upsample", SQUARE, scales=[1.0, 1.0, 2.0, 3.0], until=8),
    case("Upsample", SQUARE, scales=[1.0, 1.0, 2.0, 3.0], mode="linear", until=8),
    case("Upsample", SQUARE, scales(1, 1, 2, 3), since=9, until=9),
    case("Upsample", SQUARE, scales(1, 1, 2, 1.5), mode="linear", since=9, until=9),
    case("Upsample", SQUARE, scales(1, 1, 2, 3), since=10, stated=(SQUARE.repeat(2, 2).repeat(3, 3),)),
    case("Resize", SQUARE, scales(1, 1, 2, 1.5), until=10),
    case("Resize", SQUARE, scales(1, 1, 0.6, 0.5), until=10),
    case("Resize", SQUARE, scales(1, 1, 2, 1.5), mode="linear", until=10),
    case("Resize", SQUARE, scales(1, 1, 0.6, 0.5), mode="linear", until=10),
    *(
        case("Resize", SQUARE, NONE, factors, **how, since=11)
        for how in RESIZE
        for factors in (scales(1, 1, 2, 1.5), scales(1, 1, 0.6, 0.8))
    ),
    *(
        case("Resize", SQUARE, NONE, NONE, ints(1, 1, *sizes), **how, since=11, until=12)
        for how in RESIZE
        for sizes in ((7, 3), (2, 9))
    ),
    *(
        case("Resize", SQUARE, None, None, ints(1, 1, *sizes), **how, since=13)
        for how in RESIZE
        for sizes in ((7, 3), (2, 9))
    ),
    *(
        case("Resize", SQUARE, NONE, scales(1, 1, 1.7, 0.7), nearest_mode=how, since=11)
        for how in ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    ),
    case("Resize", SQUARE, NONE, scales(1, 1, 2, 2), mode="cubic", cubic_coeff_a=-0.5, since=11),
    case("Resize", SQUARE, NONE, scales(1, 1, 2, 2), mode="cubic", exclude_outside=1, since=11),
    case(
        "Resize",
        SQUARE,
        NONE,
        scales(1, 1, 2, 2),
        coordinate_transformation_mode="tf_half_pixel_for_nn",
        since=11,
        until=12,
    ),
    *(
        case(
            "Resize",
            SQUARE,
            scales(0, 0, *low, 1, 1, *high),
            factors,
            ints(1, 1, 3, 3),
            mode=mode,
            since=since,
            until=until,
            extrapolation_value=10.0,
            coordinate_transformation_mode="tf_crop_and_resize",
        )
        for mode in ("linear", "nearest")
        for low, high in (((0.4, 0.6), (0.65, 0.8)), ((0.4, 0.6), (1.2, 1.7)))
        for since, until, factors in ((11, 12, NONE), (13, 28, None))
    ),
    *(
        case(
            "Resize",
            SQUARE,
            *(NONE, NONE)[: 13 - since] or (None, None),
            ints(1, 1, 1, 9),
            mode="linear",
            coordinate_transformation_mode="pytorch_half_pixel",
            since=since,
            until=until,
        )
        for since, until in ((11, 12), (13, 28))
    ),
    case("Resize", SQUARE, None, scales(1, 1, 2, 2), since=13),
    case("Resize", SQUARE, None, None, ints(1, 1, 3, 8), mode="linear", since=13),
    case("Resize", SQUARE, None, scales(0.6, 0.8), mode="linear", axes=[2, 3], antialias=1, since=18),
    case("Resize", SQUARE, None, scales(0.8, 0.6), mode="linear", axes=[3, 2], since=18),
    case("Resize", SQUARE, None, scales(1, 1, 0.6, 0.8), mode="cubic", antialias=1, since=18),
    *(
        case("Resize", SQUARE, None, None, ints(7, 9), axes=[2, 3], keep_aspect_ratio_policy=how, since=18)
        for how in ("stretch", "not_larger", "not_smaller")
    ),
    case(
        "Resize",
        SQUARE,
        None,
        scales(1, 1, 1.2, 2.3),
        mode="linear",
        since=19,
        coordinate_transformation_mode="half_pixel_symmetric",
    ),
    case("Resize", whole(1, 1, 4, 4, low=0, high=200, dtype="uint8"), None, scales(1, 1, 2, 2), since=13),
    case("GridSample", floats(2, 3, 4, 5), floats(2, 3, 3, 2, low=-1.3, high=1.3)),
    *(
        case(
            "GridSample",
            floats(2, 3, 4, 5),
            floats(2, 3, 3, 2, low=-1.3, high=1.3),
            mode=mode,
            padding_mode=pad,
            align_corners=corners,
            since=16 if old else 20,
            until=19 if old else 28,
        )
        for old, modes in ((True, ("bilinear", "nearest", "bicubic")), (False, ("linear", "nearest", "cubic")))
        for mode in modes
        for pad in ("zeros", "border", "reflection")
        for corners in (0, 1)
    ),
    case("GridSample", floats(1, 2, 3, 4, 3), floats(1, 2, 2, 2, 3, low=-1.2, high=1.2), since=20),
    case("AffineGrid", floats(2, 2, 3), ints(2, 3, 4, 5)),
    case("AffineGrid", floats(2, 3, 4), ints(2, 3, 4, 5, 3), align_corners=1),
    case("Resize", floats(1, 1, 10, 20), NONE, scales(1, 1, 0.7, 1.15), mode="linear", since=11),
    case("Resize", floats(1, 2, 5), NONE, scales(1, 1, 2), mode="linear", since=11),
    case("Resize", floats(1, 1, 3, 2, 4), NONE, scales(1, 1, 2, 3, 1), mode="nearest", since=11),
    *(
        case(
            "Resize", SQUARE, NONE, scales(1, 1, 3, 2), nearest_mode=near, coordinate_transformation_mode=how, since=11
        )
        for how in ("asymmetric", "half_pixel", "pytorch_half_pixel")
        for near in ("floor", "round_prefer_floor", "round_prefer_ceil")
    ),
    # padding
    *(
        case("Pad", floats(3, 4), pads=[1, 0, 2, 1], until=10, **how)
        for how in ({}, {"value": 1.5}, {"mode": "reflect"}, {"mode": "edge"}, {"mode": "constant"})
    ),
    case("Pad", floats(3, 4), pads=[-1, 0, 2, -1], until=10),
    case("Pad", floats(3, 4), ints(1, 0, 2, 1), one(1.5, "float32"), since=11),
    case("Pad", floats(3, 4), ints(-1, 0, 2, -1), since=11),
    *(case("Pad", floats(3, 4), ints(1, 0, 2, 1), mode=how, since=11) for how in ("constant", "reflect", "edge")),
    case("Pad", floats(3, 4), ints(1, 5, 2, 6), mode="wrap", since=19),
    case("Pad", floats(3, 4, 2), ints(1, 2), one(1.5, "float32"), ints(-2), since=18),
    case("Pad", floats(3, 4, 2), ints(1, 0, 2, 1), None, ints(1, 2), mode="edge", since=18),
    case("Pad", whole(3, 4), ints(1, 0, 2, 1), one(7), since=13),
]
