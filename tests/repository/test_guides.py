"""What the guides say is there, is there."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from service.cli import app
from service.contract.architecture import parse
from service.contract.options import Options
from service.contract.policy import Policy
from service.settings import Settings

ROOT = Path(__file__).parents[2]
GUIDES = [
    "README.md", "CONTRIBUTING.md", "docs/models.md", "docs/keras.md", "docs/onnx.md", "docs/operations.md",
    "docs/peers.md", "benchmarks/README.md", "examples/README.md",
]  # fmt: skip
PATH = re.compile(r"(?<![\w/.:])((?:service|worker|tests|examples|docs|openapi|benchmarks)/[\w./-]*)")
START, END = "<!-- settings -->", "<!-- end of settings -->"


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def code(guide: str) -> list[str]:
    """Return what stands between backquotes, one or three of them."""
    return re.findall(r"```.*?```|`[^`\n]+`", read(guide), re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_link_leads_somewhere(guide: str) -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", read(guide)) if "://" not in link]
    assert not [link for link in links if link and not (ROOT / guide).parent.joinpath(link).exists()]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_file_and_folder_exists(guide: str) -> None:
    """Paths in code are those of files, folders, and what is made when a command runs."""
    paths = PATH.findall("\n".join(code(guide)))
    assert not [path for path in paths if not (ROOT / path.rstrip(".")).exists()]


@pytest.mark.parametrize("guide", GUIDES)
def test_every_make_target_exists(guide: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)\b", "\n".join(code(guide)))) <= targets


@pytest.mark.parametrize("guide", [*GUIDES, "Dockerfile", "examples/curl.sh"])
def test_every_command_of_gradgate_and_each_of_its_options_exists(guide: str) -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    for name, rest in commands(read(guide)):
        known = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known, f"gradgate {name}{rest}"


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield each `gradgate NAME …`, as a shell or a Dockerfile says it, and the rest of its line or quotation."""
    yield from re.findall(r"(?:^|`)gradgate ([a-z]+)([^`\n]*)", text, re.MULTILINE)
    for words in re.findall(r'^CMD \["gradgate", (.*)\]$', text, re.MULTILINE):
        name, *rest = re.findall(r'"([^"]+)"', words)
        yield name, " ".join(rest)


@pytest.mark.parametrize("guide", GUIDES)
def test_every_variable_is_a_setting_or_one_of_compose(guide: str) -> None:
    known = {variable(name) for name in Settings.model_fields} | set(
        re.findall(r"GRADGATE_\w+", read("docker-compose.yml"))
    )
    assert set(re.findall(r"GRADGATE_[A-Z_]+[A-Z]", read(guide))) <= known


def test_the_policy_in_the_readme_is_one_over_rules_that_exist() -> None:
    (text,) = re.findall(r"```json\n(.*?)```", read("README.md"), re.DOTALL)
    policy = Policy.model_validate_json(text)
    codes = {rule["code"] for rule in json.loads(read("service/catalogue/rules.json"))}
    assert policy.rules.keys() | {waiver.rule for waiver in policy.waivers} <= codes


def test_every_benchmark_is_described() -> None:
    described = set(re.findall(r"^\| `(\w+\.py)", read("benchmarks/README.md"), re.MULTILINE))
    assert described == {path.name for path in (ROOT / "benchmarks").glob("*.py")}


def test_the_examples_are_what_the_service_takes() -> None:
    parse(read("examples/sigmoid.json").encode())
    Options.model_validate_json(read("examples/ci/options.json"))


def test_the_table_of_settings_is_that_of_the_code(golden: Callable[[str, str], None]) -> None:
    before, _, rest = read("README.md").partition(START)
    after = rest.partition(END)[2]
    golden("README.md", f"{before}{START}\n{table()}\n{END}{after}")


def table() -> str:
    """Return a row per setting: the variable, the default, the sentence."""
    fields = Settings.model_fields.items()
    rows = [f"| `{variable(name)}` | {shown(field.default)} | {field.description} |" for name, field in fields]
    return "\n".join(["| variable | default | what it says |", "| --- | --- | --- |", *rows])


def variable(name: str) -> str:
    return f"GRADGATE_{name.upper()}"


def shown(default: object) -> str:
    """Write a default as it can be set, and bytes as a reader thinks of them beside it."""
    whole = isinstance(default, int) and default and default % 2**20 == 0
    return f"`{default}`" + (f" ({default // 2**20} MiB)" if whole else "")
