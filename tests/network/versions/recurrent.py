"""Recurrent layers, control flow, attention, transforms and losses."""

import numpy as np
from onnx import GraphProto, NodeProto, TensorProto, helper

from tests.network.versions.case import Array, Case, body, case, floats, given, ints, one, truths, whole

STEPS, BATCH, FEATURES, WIDTH = 4, 3, 2, 5
YES, NO = np.array(True), np.array(False)  # noqa: FBT003  numpy takes it so
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
RESULTS = {"RNN": 2, "GRU": 2, "LSTM": 3}
LENGTHS = np.array([4, 1, 3], "int32")


def layer(
    name: str, directions: int = 1, *, bias: bool = True, lengths: bool = False, start: bool = False, **settings: object
) -> Case:
    """Return a recurrent layer."""
    rows = GATES[name] * WIDTH
    x = floats(STEPS, BATCH, FEATURES)
    state = (directions, BATCH, WIDTH)
    states = [floats(*state, seed=seed) if start else None for seed in range(RESULTS[name] - 1)]
    if settings.get("layout"):
        x, states = x.transpose(1, 0, 2), [None if each is None else each.transpose(1, 0, 2) for each in states]
    peephole = [floats(directions, 3 * WIDTH)] if settings.pop("peephole", False) else []
    inputs: list[Array | None] = [
        x,
        floats(directions, rows, FEATURES, seed=1),
        floats(directions, rows, WIDTH, seed=2, low=-1, high=1),
        floats(directions, 2 * rows, seed=3) if bias else None,
        LENGTHS if lengths else None,
        *states,
        *peephole,
    ]
    while inputs[-1] is None:
        inputs.pop()
    return case(name, *inputs, hidden_size=WIDTH, outputs=RESULTS[name], **settings)


def layers(name: str) -> list[Case]:
    """Return what each kind of recurrent layer is tried on."""
    three = {"RNN": ["Relu"], "GRU": ["HardSigmoid", "Softsign"], "LSTM": ["HardSigmoid", "Relu", "Softplus"]}[name]
    shaped = {"RNN": ["LeakyRelu"], "GRU": ["Sigmoid", "Elu"], "LSTM": ["Sigmoid", "Affine", "ScaledTanh"]}[name]
    return [
        layer(name),
        layer(name, bias=False),
        layer(name, start=True),
        layer(name, lengths=True),
        layer(name, lengths=True, start=True, direction="reverse"),
        layer(name, direction="reverse"),
        layer(name, 2, direction="bidirectional", start=True),
        layer(name, 2, direction="bidirectional", lengths=True),
        layer(name, clip=0.4),
        layer(name, activations=three),
        layer(
            name,
            activations=shaped,
            activation_alpha=[0.3, 0.7][: GATES[name] - 2 or 1] if name != "GRU" else [0.3],
            **({"activation_beta": [0.1, 0.6]} if name == "LSTM" else {}),
        ),
        layer(name, 2, direction="bidirectional", activations=three * 2),
        layer(name, layout=1, start=True, since=14),
        layer(name, 2, direction="bidirectional", layout=1, since=14),
    ]


def node(operator: str, inputs: str, outputs: str, **attributes: object) -> NodeProto:
    """Return a node of a subgraph; names stand apart by spaces."""
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


ADD = body(
    [node("Add", "s x", "t"), node("Identity", "t", "o")], [given("s"), given("x")], [given("t"), given("o", shape=[3])]
)


def constant(value: float) -> GraphProto:
    """Return a branch that gives one number."""
    held = helper.make_tensor("v", TensorProto.FLOAT, [2], [value, value])
    return body([node("Constant", "", "c", value=held)], [], [given("c")])


TURN = body(
    [node("Identity", "go", "again"), node("Add", "s s", "t"), node("Identity", "t", "o")],
    [given("i", TensorProto.INT64, []), given("go", TensorProto.BOOL, []), given("s")],
    [given("again", TensorProto.BOOL, []), given("t"), given("o", shape=[2])],
)
UNTIL = body(
    [
        node("Constant", "", "limit", value=helper.make_tensor("v", TensorProto.FLOAT, [], [9.0])),
        node("Add", "s s", "t"),
        node("ReduceSum", "t", "sum", keepdims=0),
        node("Less", "sum limit", "again"),
    ],
    [given("i", TensorProto.INT64, []), given("go", TensorProto.BOOL, []), given("s")],
    [given("again", TensorProto.BOOL, []), given("t")],
)


def scan(*inputs: Array | None, **settings: object) -> Case:
    """Return a running sum by Scan, which gives each step as well."""
    return case("Scan", *inputs, body=ADD, num_scan_inputs=1, outputs=2, **settings)


Q, K, V = floats(2, 3, 4, 8), floats(2, 3, 6, 8, seed=1), floats(2, 3, 6, 8, seed=2)
FLAT = [floats(2, 4, 24), floats(2, 6, 24, seed=1), floats(2, 6, 24, seed=2)]
FEWER = [floats(2, 6, 4, 8), floats(2, 3, 6, 8, seed=1), floats(2, 3, 6, 10, seed=2)]
PAST = [floats(2, 3, 5, 8, seed=3), floats(2, 3, 5, 8, seed=4)]
SIGNAL = floats(2, 10, 1)
SCORES, LABELS = floats(4, 5), ints(1, 0, 4, 2)
PIXELS, CLASSES = floats(2, 5, 3, 3), whole(2, 3, 3, low=0)


def losses(name: str, outputs: int = 1) -> list[Case]:
    """Return what the two losses are tried on."""
    return [
        *(case(name, SCORES, LABELS, reduction=how, outputs=outputs) for how in ("mean", "sum", "none")),
        case(name, PIXELS, CLASSES, outputs=outputs),
        case(name, SCORES, LABELS, floats(5, low=0.1), outputs=outputs),
        case(name, SCORES, LABELS, floats(5, low=0.1), ignore_index=4, outputs=outputs),
        case(name, PIXELS, CLASSES, ignore_index=0, reduction="none", outputs=outputs),
        case(name, SCORES, ints(1, -5, 4, 2), ignore_index=-5, outputs=outputs),
    ]


CASES: list[Case] = [
    *(each for name in GATES for each in layers(name)),
    layer("GRU", linear_before_reset=1, start=True),
    layer("GRU", linear_before_reset=1, lengths=True, clip=0.5),
    layer("LSTM", peephole=True, start=True),
    layer("LSTM", input_forget=1),
    # control flow
    *(case("If", one(value, "bool"), then_branch=constant(2), else_branch=constant(3)) for value in (True, False)),
    case("Loop", one(3), YES, floats(2), body=TURN, outputs=2),
    case("Loop", one(3), None, floats(2), body=TURN, outputs=2, since=8),
    case("Loop", None, YES, floats(2, low=0.1), body=UNTIL, outputs=1),
    case("Loop", one(3), NO, floats(2), body=TURN, outputs=2),
    case("Loop", one(0), YES, floats(2), body=TURN, outputs=2),
    scan(floats(3), floats(0, 3), since=9, stated=(floats(3), floats(0, 3))),
    scan(None, floats(2, 3), floats(2, 4, 3), until=8),
    scan(None, floats(2, 3), floats(2, 4, 3), directions=[1], until=8),
    scan(ints(4, 2), floats(2, 3), floats(2, 4, 3), until=8),
    scan(floats(3), floats(4, 3), since=9),
    scan(floats(3), floats(4, 3), since=9, scan_input_directions=[1]),
    scan(floats(3), floats(4, 3), since=9, scan_output_directions=[1]),
    scan(floats(3), floats(3, 4), since=9, scan_input_axes=[1]),
    scan(floats(3), floats(3, 4), since=11, scan_input_axes=[-1], scan_output_axes=[-1]),
    scan(floats(3), floats(4, 3), since=9, scan_output_axes=[1]),
    # attention
    case("Attention", Q, K, V),
    case("Attention", Q, K, V, scale=0.3, is_causal=1),
    case("Attention", Q, K, V, softcap=2.0),
    case("Attention", Q, K, V, floats(4, 6)),
    case("Attention", Q, K, V, truths(2, 1, 4, 6) | np.eye(4, 6, dtype=bool)),
    case("Attention", Q, K, V, truths(2, 3, 4, 6) | np.eye(4, 6, dtype=bool), is_causal=1),
    case("Attention", *FLAT, q_num_heads=3, kv_num_heads=3),
    case("Attention", floats(2, 4, 48), FLAT[1], FLAT[2], q_num_heads=6, kv_num_heads=3, is_causal=1),
    case("Attention", *FEWER),
    case("Attention", Q, K, V, None, *PAST, outputs=3),
    case("Attention", Q, K, V, floats(4, 11), *PAST, outputs=3, is_causal=1),
    *(
        case("Attention", Q, K, V, floats(4, 6), softcap=1.5, outputs=4, skipped=(1, 2), qk_matmul_output_mode=mode)
        for mode in (0, 1, 2, 3)
    ),
    case("Attention", Q, K, V, None, None, None, ints(3, 6), since=24),
    case("Attention", floats(2, 3, 6, 8), K, V, None, None, None, ints(3, 6), is_causal=1, since=24),
    case("Attention", floats(2, 3, 6, 8), K, V, left_window_size=2, since=25),
    case("Attention", floats(2, 3, 6, 8), K, V, left_window_size=1, right_window_size=2, since=25),
    case("RotaryEmbedding", floats(2, 3, 4, 8), floats(50, 4), floats(50, 4, seed=1), whole(2, 4, low=0, high=50)),
    case("RotaryEmbedding", floats(2, 3, 4, 8), floats(2, 4, 4), floats(2, 4, 4, seed=1), interleaved=1),
    case(
        "RotaryEmbedding",
        floats(2, 4, 24),
        floats(2, 4, 2),
        floats(2, 4, 2, seed=1),
        num_heads=3,
        rotary_embedding_dim=4,
    ),
    case("SwiGLU", floats(2, 3), floats(2, 3, seed=1)),
    case("SwiGLU", floats(2, 3), floats(2, 3, seed=1), alpha=1.7),
    *(
        case("CausalConvWithState", floats(2, 3, 6), floats(3, 1, 4), floats(3), activation=how, outputs=2)
        for how in ("none", "silu")
    ),
    case("CausalConvWithState", floats(2, 3, 6), floats(3, 1, 4), None, floats(2, 3, 3, seed=1), outputs=2),
    *(
        case(
            "LinearAttention",
            floats(2, 4, 6),
            floats(2, 4, 6, seed=1, low=-0.5, high=0.5),
            floats(2, 4, 4, seed=2),
            *(
                [None]
                + [floats(2, 4, 2, seed=3, low=-1, high=0) if "gated" in rule else None]
                + ([floats(2, 4, 2, seed=4, low=0, high=1)] if "delta" in rule else [])
            ),
            q_num_heads=2,
            kv_num_heads=2,
            update_rule=rule,
            outputs=2,
        )
        for rule in ("linear", "gated", "delta", "gated_delta")
    ),
    # transforms
    case("DFT", SIGNAL, axis=1, until=19),
    case("DFT", SIGNAL, one(8), axis=1, onesided=1, until=19),
    case("DFT", floats(2, 10, 2), inverse=1, until=19),
    case("DFT", SIGNAL, since=20),
    case("DFT", SIGNAL, None, one(1), onesided=1, since=20),
    case("DFT", floats(2, 6, 5, 2), one(8), one(-3), inverse=1, since=20),
    case("STFT", floats(1, 16, 1), one(4), None, one(8)),
    case("STFT", floats(1, 16, 1), one(4), floats(8), onesided=0),
    case("MelWeightMatrix", one(8), one(16), one(8192), one(0.0, "float32"), one(4096.0, "float32")),
    # losses
    *losses("NegativeLogLikelihoodLoss"),
    *losses("SoftmaxCrossEntropyLoss"),
    *losses("SoftmaxCrossEntropyLoss", 2),
]
