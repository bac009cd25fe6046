"""Bombs of protobuf: a byte or two in the file, a hundred in a parser's memory."""

from service.contract.problem import TooComplex, UnreadableModel, UnsupportedModel, UnsupportedOperator
from tests.bombs.bombs import bomb, field, number, varint, written
from worker.load.provenance import SCOPES, SIGNATURE

MODEL_GRAPH, GRAPH_NODE, GRAPH_INITIALIZER, NODE_ATTRIBUTE = 7, 1, 5, 5
GRAPH_METADATA, NODE_METADATA = 16, 9
MANY = 4_000_000


def graph(content: bytes) -> bytes:
    """Return a model whose graph holds `content`, and version 20 of the operators."""
    return field(8, number(2, 20)) + field(MODEL_GRAPH, content)


def empty(place: int, count: int = MANY) -> bytes:
    """Return a field of no bytes, again and again."""
    return field(place, b"") * count


@bomb(TooComplex)
def millions_of_empty_nodes() -> bytes:
    return graph(empty(GRAPH_NODE))


@bomb(TooComplex)
def millions_of_empty_initializers() -> bytes:
    return graph(empty(GRAPH_INITIALIZER))


@bomb(TooComplex)
def millions_of_value_infos() -> bytes:
    return graph(empty(13))


@bomb(TooComplex)
def millions_of_inputs() -> bytes:
    return graph(empty(11))


@bomb(TooComplex)
def millions_of_metadata_entries() -> bytes:
    return empty(14)


@bomb(TooComplex)
def millions_of_metadata_entries_of_a_node() -> bytes:
    return graph(field(GRAPH_NODE, empty(NODE_METADATA)))


@bomb(TooComplex)
def a_node_that_says_again_and_again_which_module_it_is_of() -> bytes:
    entry = field(NODE_METADATA, field(1, SCOPES.encode()))
    return graph(field(GRAPH_NODE, entry * (MANY // 8)))


@bomb(TooComplex)
def a_list_of_millions_of_parameters() -> bytes:
    listed = "".join(f"PARAMETER target='{place}'" for place in range(MANY // 16))
    return graph(field(GRAPH_METADATA, field(1, SIGNATURE.encode()) + field(2, listed.encode())))


@bomb(TooComplex)
def millions_of_operator_sets() -> bytes:
    return empty(8)


@bomb(TooComplex)
def millions_of_functions() -> bytes:
    return empty(25)


@bomb(TooComplex)
def millions_of_attributes() -> bytes:
    return graph(field(GRAPH_NODE, empty(NODE_ATTRIBUTE)))


@bomb(TooComplex)
def millions_of_nodes_in_a_subgraph() -> bytes:
    return graph(field(GRAPH_NODE, field(NODE_ATTRIBUTE, field(6, empty(GRAPH_NODE)))))


@bomb(TooComplex)
def millions_of_tensors_in_an_attribute() -> bytes:
    return graph(field(GRAPH_NODE, field(NODE_ATTRIBUTE, empty(10))))


@bomb(TooComplex)
def millions_of_strings_in_a_tensor() -> bytes:
    return graph(field(GRAPH_INITIALIZER, empty(6)))


@bomb(TooComplex)
def millions_of_sizes_in_a_shape() -> bytes:
    return graph(field(GRAPH_INITIALIZER, number(1, 1) * MANY))


@bomb(TooComplex)
def millions_of_external_data_entries() -> bytes:
    return graph(field(GRAPH_INITIALIZER, empty(13)))


@bomb(TooComplex)
def millions_of_numbers_that_nobody_reads() -> bytes:
    return number(5, 0) * MANY


@bomb(TooComplex)
def millions_of_fields_that_nobody_knows() -> bytes:
    return number(500, 0) * MANY


@bomb(TooComplex)
def nested_thousands_of_levels_deep() -> bytes:
    inner = b""
    for _ in range(3000):
        inner = field(GRAPH_NODE, field(NODE_ATTRIBUTE, field(6, inner)))
    return graph(inner)


@bomb(TooComplex)
def types_nested_a_thousand_levels_deep() -> bytes:
    inner = b""
    for _ in range(1000):
        inner = field(4, field(1, inner))
    return graph(field(11, field(1, b"x") + field(2, inner)))


@bomb(UnreadableModel)
def a_length_beyond_the_file() -> bytes:
    return varint(MODEL_GRAPH << 3 | 2) + varint(2**62) + b"\0"


@bomb(UnreadableModel)
def a_number_without_an_end() -> bytes:
    return b"\xff" * 1000


@bomb(UnreadableModel)
def groups_that_protobuf_gave_up() -> bytes:
    return b"\x3b" * 1000


@bomb(UnreadableModel)
def a_graph_that_is_a_number() -> bytes:
    return number(8, 20) + number(MODEL_GRAPH, 1)


@bomb(UnsupportedOperator)
def numbers_where_text_is_due() -> bytes:
    return graph(field(GRAPH_NODE, number(1, 7) + number(2, 8) + number(4, 9)))


@bomb(UnreadableModel)
def names_that_are_no_text() -> bytes:
    return written("y = Relu(x)").replace(b"Relu", b"\xff\xfe\xfd\xfc")


@bomb(UnsupportedModel)
def a_version_beyond_all_numbers() -> bytes:
    return written("y = Relu(x)").replace(field(8, field(1, b"") + number(2, 20)), field(8, number(2, 2**40)))
