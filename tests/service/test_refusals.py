"""What the door refuses: each refusal is a problem that names what is wrong, and nothing stays behind."""

import io
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.service.api import MODEL, Service


@pytest.fixture(autouse=True)
def _nothing_stays_behind(service: Service, settings: Settings) -> Any:  # noqa: ANN401  a fixture with an end
    yield
    assert service.get("/v1/diagnoses").json()["items"] == []
    assert service.woken == []
    assert list(Path(settings.storage.removeprefix("file:")).rglob("*")) == []


def refused(answer: httpx.Response, status: int, kind: str) -> dict[str, Any]:
    """Check that the answer is this problem and return it."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["type"]) == (status, status, f"/problems/{kind}"), problem
    assert problem["title"]
    assert problem["detail"]
    return problem


def archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("data.pkl", pickle.dumps({}))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("model.pt", archive(), "torch.onnx.export"),
        ("model.keras", archive(), "model.to_json()"),
        ("model.h5", b"\x89HDF\r\n\x1a\n" + b"\x00" * 600, "tf2onnx"),
        ("model.pkl", pickle.dumps({"a": 1}), "torch.onnx.export"),
        ("model.safetensors", (40).to_bytes(8, "little") + b'{"w": {}}', "without their network"),
        ("model.tar.gz", b"\x1f\x8b\x08", "unpacked"),
        ("model.tflite", b"\x1c\x00\x00\x00TFL3", "tf2onnx"),
        ("model.gguf", b"GGUF\x03", "weights"),
        ("model.npy", b"\x93NUMPY\x01\x00", "`batch`"),
        ("model.onnx", b"Not a model at all", "unknown kind"),
        ("model.json", json.dumps('{"class_name": "Sequential"}').encode(), "file.write(model.to_json())"),
        ("model.json", json.dumps(json.dumps({"gradgate": "1"}, indent=2)).encode(), "JSON string"),
        ("model.json", b"[]", "one object"),
        ("model.json", '{"gradgate": "1"}'.encode("utf-16"), "UTF-8"),
    ],
)
def test_other_formats_come_back_with_a_recipe(service: Service, name: str, content: bytes, says: str) -> None:
    answer = service.post("/v1/diagnoses", files={"model": (name, content)})
    assert says in refused(answer, 415, "unsupported")["detail"]


@pytest.mark.parametrize("content", [pickle.dumps([1]), b"1,2,3", b"\x00\x01"])
def test_a_batch_is_never_a_pickle(service: Service, content: bytes) -> None:
    answer = service.post("/v1/diagnoses", files={"model": MODEL, "batch": content})
    assert "numpy.savez" in refused(answer, 415, "unsupported")["detail"]


@pytest.mark.parametrize("part", ["model", "batch"])
def test_an_empty_file_is_named(service: Service, part: str) -> None:
    answer = service.post("/v1/diagnoses", files={"model": MODEL} | {part: b""})
    assert f"The {part} is empty" in refused(answer, 422, "invalid")["detail"]


@pytest.mark.parametrize(
    ("limit", "part"), [("max_model_bytes", "model"), ("max_batch_bytes", "batch"), ("max_model_bytes", "data")]
)
def test_an_upload_over_its_limit_is_refused_while_it_streams(settings: Settings, limit: str, part: str) -> None:
    service = Service(settings.model_copy(update={limit: 100}))
    files = {"model": MODEL, part: ("data.bin", b"{" + b" " * 2_000_000)}
    answer = service.post("/v1/diagnoses", files=files)
    assert "100 bytes" in refused(answer, 413, "too-large")["detail"]
    service.backing.jobs.close()


def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(settings: Settings) -> None:
    service = Service(settings.model_copy(update={"max_model_bytes": 2**20, "max_batch_bytes": 2**20}))
    problem = refused(service.post("/v1/diagnoses", files={"model": b"{" * (5 * 2**20)}), 413, "too-large")
    assert "The body is 5.0 MiB; the limit is 5.0 MiB" in problem["detail"]
    service.backing.jobs.close()


def test_a_json_body_over_its_limit_is_refused(settings: Settings) -> None:
    service = Service(settings.model_copy(update={"max_json_bytes": 100}))
    refused(service.post("/v1/diagnoses", json={"model": {"pad": "x" * 200}}), 413, "too-large")
    service.backing.jobs.close()


def test_a_file_of_nothing_but_a_byte_order_mark_is_empty(service: Service) -> None:
    for content in (b"\xef\xbb\xbf", b"\xef\xbb\xbf \n"):
        answer = service.post("/v1/diagnoses", files={"model": content})
        assert "empty" in refused(answer, 422, "invalid")["detail"]


JSON = {"Content-Type": "application/json"}
ARCHITECTURE = (
    '{"gradgate": "1", "input": {"shape": [2]}, "layers": [{"kind": "dense", "units": 2}], "learning_rate": %s}'
)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model": %s}' % (ARCHITECTURE % "NaN").encode(),
        b'{"model": %s}' % (ARCHITECTURE % "1e999").encode(),
        b'{"model": %s}' % (ARCHITECTURE % "-Infinity").encode(),
        b'{"model": {}, "model": {}}',
        b'{"model": {"gradgate": "1", "gradgate": "1"}}',
        b'{"model": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}",
        b'{"model": {"a": ' + b"9" * 5000 + b"}}",
        b'{"model": {"a": "\xff"}}',
        b'{"model": ',
        b"",
        b"null",
        b"[]",
        b'{"model": 1}',
        b'{"model": {}, "batch": []}',
        b'{"model": {}, "extra": 1}',
        b'{"batch": {}}',
        b'{"model": {}}',
        b'{"model": {"gradgate": "2"}}',
        b'{"model": {}, "options": {"learning_rate": NaN}}',
        b'{"model": {}, "options": {"learning_rate": 1e308, "learning_rate": 1}}',
    ],
)
def test_a_trap_in_json_is_a_problem_and_never_a_500(service: Service, body: bytes) -> None:
    answer = service.post("/v1/diagnoses", content=body, headers=JSON)
    assert answer.status_code in {400, 422}, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("options", "pointer"),
    [
        ({"epochs": 3}, "/epochs"),
        ({"seed": -1}, "/seed"),
        ({"treatments": ["relu", "layernorm"]}, "/treatments/1"),
        ({"clipping": {"kind": "norm", "limit": 0}}, "/clipping/limit"),
        ({"policy": {"waivers": [{"rule": "GRD01"}]}}, "/policy/waivers/0/reason"),
        ([], ""),
    ],
)
def test_an_option_that_does_not_fit_is_pointed_at(service: Service, options: object, pointer: str) -> None:
    files = {"model": MODEL, "options": (None, json.dumps(options))}
    assert refused(service.post("/v1/diagnoses", files=files), 422, "invalid")["pointer"] == pointer
    body = {"model": json.loads(MODEL), "options": options}
    assert refused(service.post("/v1/diagnoses", json=body), 422, "invalid")["pointer"] == "/options" + pointer


def test_a_treatment_that_nobody_knows_is_named_with_the_list(service: Service) -> None:
    files = {"model": MODEL, "options": (None, json.dumps({"treatments": ["layernorm"]}))}
    said = refused(service.post("/v1/diagnoses", files=files), 422, "invalid")["detail"]
    assert "'layernorm'; did you mean 'layer-norm'? GET /v1/treatments" in said


def second(service: Service, **parts: bytes) -> httpx.Response:
    return service.post("/v1/diagnoses", files={"model": MODEL} | parts)


def test_a_second_batch_is_looked_at_as_the_first_is(service: Service) -> None:
    batch = b'{"input": [[1, 2]]}'
    told = refused(second(service, batch=batch, second_batch=pickle.dumps([1])), 415, "unsupported")
    assert told["detail"].startswith("The second batch is a pickle")
    told = refused(second(service, batch=batch, second_batch=b""), 422, "invalid")
    assert told["detail"].startswith("The second batch is empty")
    assert "no first one" in refused(second(service, second_batch=batch), 422, "invalid")["detail"]


def test_a_second_batch_over_the_limit_of_a_batch_is_refused(settings: Settings) -> None:
    service = Service(settings.model_copy(update={"max_batch_bytes": 100}))
    told = refused(second(service, batch=b"{}", second_batch=b"{" + b" " * 2_000_000), 413, "too-large")
    assert told["detail"].startswith("The second batch is larger than the limit of 100 bytes")
    service.backing.jobs.close()


def test_a_layer_that_does_not_fit_is_pointed_at(service: Service) -> None:
    model = {"gradgate": "1", "input": {"shape": [2]}, "layers": [{"kind": "dense", "units": 0}]}
    problem = refused(service.post("/v1/diagnoses", json={"model": model}), 422, "invalid")
    assert problem["pointer"] == "/model/layers/0/units"
    problem = refused(service.post("/v1/diagnoses", files={"model": json.dumps(model)}), 422, "invalid")
    assert problem["pointer"] == "/layers/0/units"


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", ".hidden", "", "x" * 201])
def test_external_data_has_a_plain_name(service: Service, name: str) -> None:
    boundary = b"b"
    body = b'--b\r\nContent-Disposition: form-data; name="data"; filename="%s"\r\n\r\nx\r\n--b--\r\n' % name.encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary.decode()}"}
    refused(service.post("/v1/diagnoses", content=body, headers=headers), 422, "invalid")


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data", b"--b", 400),
        ("multipart/form-data; boundary=b", b"nonsense", 400),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n{', 400),
        ("multipart/form-data; boundary=b", b"--b--\r\n", 400),
        ("multipart/form-data; boundary=" + "b" * 500, b"", 400),
        ("application/zip", b"", 415),
        ("", b"x", 415),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(
    service: Service, content_type: str, body: bytes, status: int
) -> None:
    answer = service.post("/v1/diagnoses", content=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


def test_a_part_twice_or_unheard_of_is_refused(service: Service) -> None:
    twice = [("model", ("a", MODEL)), ("model", ("b", MODEL))]
    assert "twice" in refused(service.post("/v1/diagnoses", files=twice), 422, "invalid")["detail"]
    odd = {"model": MODEL, "weights": b"x"}
    assert "'weights'" in refused(service.post("/v1/diagnoses", files=odd), 422, "invalid")["detail"]


def test_paths_methods_and_parameters_are_problems_too(service: Service) -> None:
    refused(service.get("/nowhere"), 404, "not-found")
    refused(service.get(f"/v1/diagnoses/{'0' * 32}"), 404, "not-found")
    refused(service.get("/v1/diagnoses/..%2f..%2fetc"), 404, "not-found")
    answer = service.call("PUT", "/v1/diagnoses")
    refused(answer, 405, "not-allowed")
    assert set(answer.headers["Allow"].replace(" ", "").split(",")) >= {"POST"} or answer.headers["Allow"]
    assert "pointer" in refused(service.get("/v1/diagnoses?limit=0"), 422, "invalid")
    refused(service.get("/v1/diagnoses?cursor=nonsense"), 422, "invalid")
    refused(service.get("/v1/diagnoses?status=dreaming"), 422, "invalid")
    refused(service.get("/v1/schema/nonsense"), 422, "invalid")


def test_a_refusal_never_repeats_the_value(service: Service) -> None:
    answer = service.post("/v1/diagnoses", content=b'{"model": {}, "options": {"seed": "s3cret-value"}}', headers=JSON)
    assert "s3cret-value" not in answer.text


def test_a_policy_with_traps_is_a_problem(service: Service) -> None:
    url = f"/v1/diagnoses/{'0' * 32}/gate"
    refused(service.post(url, content=b"{}", headers=JSON), 404, "not-found")
