"""Files of opsets 1 to 6 mean what their versions say, or are refused by the operator's name."""

import pytest
from onnx import defs

from service.contract.problem import UnsupportedOperator
from tests.network.test_versions import difference, ours
from tests.network.versions import early
from tests.network.versions.case import Case, case, floats
from worker.network.model import OVERWRITTEN
from worker.network.ops import find

NEWEST_OF_THEM = 6


def described(each: Case) -> str:
    return f"{each.operator}-{each.since}-{each.until}"


@pytest.mark.parametrize("each", early.CASES, ids=described)
def test_an_early_version_means_what_it_says(each: Case) -> None:
    for opset in {each.since, each.until}:
        outputs = ours(each, opset)
        assert not [wrong for wrong in map(difference, outputs, each.stated) if wrong]


def test_every_attribute_of_an_early_version_is_known() -> None:
    unknown = {}
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain and schema.since_version <= NEWEST_OF_THEM:
            operator = find("", schema.name, schema.since_version)
            assert operator is not None, schema.name
            if missing := schema.attributes.keys() - operator.attributes - {OVERWRITTEN}:
                unknown[schema.name] = missing
    assert not unknown


def test_an_attribute_of_a_later_version_is_refused_by_name() -> None:
    clipped = case("Gemm", floats(2, 3), floats(3, 4), floats(4), broadcast=1)
    with pytest.raises(UnsupportedOperator, match=r"Gemm.*'broadcast'"):
        ours(clipped, 7)
