"""Bombs of appetite: small graphs that ask for all memory or for all time."""

import numpy as np
from onnx import helper, numpy_helper

from service.contract.problem import (
    BatchMismatch,
    OutOfMemory,
    TimedOut,
    TooComplex,
    Trouble,
    UnsupportedOperator,
)
from tests.bombs.bombs import bomb, model, whole, written

HUGE = 2**40
TOO_MUCH: tuple[type[Trouble], ...] = (OutOfMemory, TooComplex, BatchMismatch)
INTO_Y = "s = ReduceSum<keepdims = 0>(big) y = Add(x, s)"
TRUE = whole(1).astype(bool).reshape(())


@bomb(*TOO_MUCH)
def one_value_of_any_shape() -> bytes:
    return written(f"big = ConstantOfShape(n) {INTO_Y}", n=whole(HUGE, 8))


@bomb(*TOO_MUCH)
def a_shape_that_is_no_number() -> bytes:
    return written(f"big = ConstantOfShape(n) {INTO_Y}", n=whole(HUGE, HUGE, HUGE))


@bomb(*TOO_MUCH)
def a_shape_below_nothing() -> bytes:
    return written(f"big = ConstantOfShape(n) {INTO_Y}", n=whole(-HUGE))


@bomb(*TOO_MUCH)
def a_value_expanded() -> bytes:
    return written(f"e = Expand(x, n) big = Relu(e) {INTO_Y}", n=whole(HUGE, 1, 3))


@bomb(*TOO_MUCH)
def a_value_tiled() -> bytes:
    return written(f"big = Tile(x, n) {INTO_Y}", n=whole(HUGE, HUGE))


@bomb(*TOO_MUCH)
def a_range_to_a_trillion() -> bytes:
    return written(
        f"r = Range(a, b, c) big = Cast<to = 1>(r) {INTO_Y}",
        a=whole(0).reshape(()), b=whole(HUGE).reshape(()), c=whole(1).reshape(()),
    )  # fmt: skip


@bomb(*TOO_MUCH)
def a_range_that_stands_still() -> bytes:
    return written(
        f"r = Range(a, b, c) big = Cast<to = 1>(r) {INTO_Y}",
        a=whole(0).reshape(()), b=whole(HUGE).reshape(()), c=whole(0).reshape(()),
    )  # fmt: skip


@bomb(*TOO_MUCH)
def one_hot_of_a_trillion() -> bytes:
    return written(
        f"i = Cast<to = 7>(x) o = OneHot(i, n, v) big = Cast<to = 1>(o) {INTO_Y}", n=whole(HUGE), v=whole(0, 1)
    )


@bomb(*TOO_MUCH)
def a_value_padded() -> bytes:
    return written(f"big = Pad(x, n) {INTO_Y}", n=whole(0, HUGE, 0, HUGE))


@bomb(*TOO_MUCH)
def an_image_resized() -> bytes:
    return written(
        'big = Resize<mode = "linear">(x, , , n) s = ReduceSum<keepdims = 0>(big) y = Add(x, s)',
        given="float[1,1,3,3] x", made="float[1,1,3,3] y", n=whole(1, 1, HUGE, HUGE),
    )  # fmt: skip


@bomb(*TOO_MUCH)
def ones_on_a_diagonal() -> bytes:
    return written(f"e = Expand(one, n) big = EyeLike<dtype = 1>(e) {INTO_Y}", one=whole(1), n=whole(2**30, 2**30))


@bomb(*TOO_MUCH)
def noise_without_end() -> bytes:
    return written(f"big = RandomNormal<shape = [{HUGE}, 64]>() {INTO_Y}")


@bomb(*TOO_MUCH)
def a_window_of_a_trillion() -> bytes:
    return written(f"big = HannWindow(n) {INTO_Y}", n=whole(HUGE).reshape(()))


@bomb(*TOO_MUCH)
def a_kernel_with_gaps_beyond_the_image() -> bytes:
    return written(
        f"y = Conv<pads = [{HUGE}, 0, {HUGE}, 0], dilations = [{2**30}, 1]>(x, w)",
        given="float[1,1,8,8] x", made="float[1,1,8,8] y", w=whole(*range(9)).reshape(1, 1, 3, 3).astype("f4"),
    )  # fmt: skip


@bomb(*TOO_MUCH)
def a_kernel_in_a_trillion_groups() -> bytes:
    return written(
        f"y = Conv<group = {HUGE}>(x, w)",
        given="float[1,1,8,8] x", made="float[1,1,8,8] y", w=whole(*range(9)).reshape(1, 1, 3, 3).astype("f4"),
    )  # fmt: skip


@bomb(*TOO_MUCH)
def strides_of_nothing() -> bytes:
    return written(
        "y = Conv<strides = [0, 0]>(x, w)",
        given="float[1,1,8,8] x", made="float[1,1,8,8] y", w=whole(*range(9)).reshape(1, 1, 3, 3).astype("f4"),
    )  # fmt: skip


@bomb(*TOO_MUCH)
def a_product_of_two_vectors() -> bytes:
    return written(
        f"a = ConstantOfShape(n) b = ConstantOfShape(m) big = MatMul(a, b) {INTO_Y}",
        n=whole(2**22, 1), m=whole(1, 2**22),
    )  # fmt: skip


@bomb(*TOO_MUCH, UnsupportedOperator)
def a_sum_over_fifty_two_letters() -> bytes:
    letters = "".join(chr(at + base) for base in (65, 97) for at in range(26))
    operands, terms = ", ".join(["v"] * 26), ",".join(letters[at : at + 2] for at in range(0, 52, 2))
    return written(f'v = Tile(x, n) big = Einsum<equation = "{terms}->{letters}">({operands}) {INTO_Y}', n=whole(9, 9))


@bomb(OutOfMemory, TimedOut, needs_limits=True)
def a_value_doubled_again_and_again() -> bytes:
    doubling = " ".join(f"v{at + 1} = Concat<axis = 0>(v{at}, v{at})" for at in range(50))
    return written(f"v0 = Relu(x) {doubling} big = Relu(v50) {INTO_Y}")


@bomb(OutOfMemory, TimedOut, needs_limits=True)
def a_value_squared_again_and_again() -> bytes:
    return written(
        "v = Tile(x, n) f = Reshape(v, r) i = NonZero(f) a = Gather(f, i) b = Reshape(a, c) "
        f"big = MatMul(a, b) {INTO_Y}",
        n=whole(2**15, 1), r=whole(-1, 1), c=whole(1, -1),
    )  # fmt: skip


@bomb(TooComplex, OutOfMemory, TimedOut, BatchMismatch, needs_limits=True)
def a_value_split_into_millions() -> bytes:
    return written(
        "v = Tile(x, n) f = Reshape(v, r) p = SplitToSequence(f) q = ConcatFromSequence<axis = 0>(p) "
        "s = ReduceSum<keepdims = 0>(q) y = Add(x, s)",
        n=whole(2**22, 1), r=whole(-1),
    )  # fmt: skip


def loop(trips: int, body: str, carried: str = "x", scanned: str = "") -> str:
    """Return a loop that carries a value on by `body`; what it scans besides."""
    made = f"bool d, float[N,3] w{scanned and ', float[M] ' + scanned}"
    head = f"b (int64 i, bool c, float[N,3] v) => ({made})"
    return f"Loop<body = {head} {{ d = Identity(c) {body} }}>(n, t, {carried})"


@bomb(TimedOut, TooComplex, needs_limits=True)
def a_loop_without_end() -> bytes:
    return written(f"y = {loop(2**62, 'w = Relu(v)')}", n=whole(2**62).reshape(()), t=TRUE)


@bomb(TimedOut, TooComplex, needs_limits=True)
def a_loop_that_only_its_condition_could_end() -> bytes:
    return written(f"y = {loop(0, 'w = Relu(v)').replace('(n, t', '(, t')}", t=TRUE)


@bomb(TimedOut, TooComplex, OutOfMemory, needs_limits=True)
def a_loop_whose_output_grows() -> bytes:
    body = "w = Relu(v) z = Expand(one, wide)"
    return written(
        f"y, z = {loop(2**62, body, scanned='z')}",
        n=whole(2**62).reshape(()), t=TRUE, one=whole(1).astype("f4"), wide=whole(2**16),
    )  # fmt: skip


@bomb(TimedOut, TooComplex, OutOfMemory, needs_limits=True)
def a_loop_that_carries_more_each_time() -> bytes:
    return written(f"big = {loop(2**62, 'w = Concat<axis = 0>(v, v)')} {INTO_Y}", n=whole(2**62).reshape(()), t=TRUE)


@bomb(TimedOut, TooComplex, needs_limits=True)
def loops_in_loops() -> bytes:
    return written(f"y = {nested(3)}", n=whole(5000).reshape(()), t=TRUE)


def nested(depth: int, value: str = "x") -> str:
    """Return a loop of loops."""
    names = f"(int64 i{depth}, bool c{depth}, float[N,3] v{depth}) => (bool d{depth}, float[N,3] w{depth})"
    inner = nested(depth - 1, f"v{depth}") if depth else "Relu(v0)"
    return f"Loop<body = b{depth} {names} {{ d{depth} = Identity(c{depth}) w{depth} = {inner} }}>(n, t, {value})"


@bomb(TimedOut, OutOfMemory, TooComplex, needs_limits=True)
def a_scan_over_millions() -> bytes:
    body = "b (float[N,3] v, float s) => (float[N,3] w) { w = Add(v, s) }"
    return written(f"long = ConstantOfShape(n) y = Scan<num_scan_inputs = 1, body = {body}>(x, long)", n=whole(2**24))


@bomb(TimedOut, needs_limits=True)
def products_of_large_matrices() -> bytes:
    return written(
        "a = ConstantOfShape(n) r = RandomUniformLike(a) p = MatMul(r, r) q = MatMul(p, r) "
        f"big = MatMul(q, p) {INTO_Y}",
        n=whole(6000, 6000),
    )


@bomb(TimedOut, OutOfMemory, needs_limits=True)
def a_kernel_as_large_as_its_image() -> bytes:
    return written(
        f"i = ConstantOfShape(n) k = ConstantOfShape(m) big = Conv<pads = [1023, 1023, 1023, 1023]>(i, k) {INTO_Y}",
        n=whole(1, 1, 4096, 4096), m=whole(1, 1, 2047, 2047),
    )  # fmt: skip


@bomb(OutOfMemory, TimedOut, needs_limits=True)
def a_table_whose_gradient_does_not_fit() -> bytes:
    one = numpy_helper.from_array(np.ones(1, np.float32))
    made = model("t = ConstantOfShape(n) r = Gather(t, i) y = MatMul(x, r)", n=whole(2**24, 7), i=whole(0, 1, 2))
    made.graph.node[0].attribute.append(helper.make_attribute("value", one))
    return bytes(made.SerializeToString())


@bomb(OutOfMemory, TimedOut, needs_limits=True)
def two_hundred_values_that_are_all_kept() -> bytes:
    steps = " ".join(f"v{at + 1} = Sigmoid(v{at})" for at in range(200))
    weight = whole(*range(48)).reshape(3, 16).astype("f4") / 100
    return written(
        f"wide = Tile(x, n) v0 = MatMul(wide, w) {steps} big = Tanh(v200) {INTO_Y}", n=whole(2**12, 1), w=weight
    )


@bomb(BatchMismatch)
def inputs_of_a_trillion_columns() -> bytes:
    return written("y = Relu(x)", given=f"float[N,{HUGE}] x", made=f"float[N,{HUGE}] y")


@bomb(*TOO_MUCH)
def a_batch_of_a_trillion_samples() -> bytes:
    return written("y = Relu(x)", given=f"float[{HUGE},3] x", made=f"float[{HUGE},3] y")


@bomb(*TOO_MUCH)
def thousands_of_inputs_of_a_million_numbers() -> bytes:
    given = ", ".join(f"float[N,1000000] x{at}" for at in range(4000))
    return written("y = Relu(x0)", given=given, made="float[N,1000000] y")
