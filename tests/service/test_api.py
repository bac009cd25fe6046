"""What the HTTP service promises, over a real queue server."""

import asyncio
import hashlib
import io
import json
import re
import time

import httpx
import pytest

from service.contract.job import Status
from service.contract.options import Options
from service.contract.problem import Problem, UnsupportedOperator
from service.contract.words import Severity, Stage, Verdict
from tests.service.api import MODEL, Service
from tests.service.samples import finding, report


def test_202_means_stored_and_recorded_and_then_queued(service: Service) -> None:
    options = {"seed": 7, "loss": "mse"}
    files = {
        "model": ("m.json", MODEL),
        "batch": ("b.json", b'{"input": [[1, 2]]}'),
        "options": (None, json.dumps(options)),
    }
    answer = service.post("/v1/diagnoses", files=files)
    job_id = answer.json()["id"]
    assert (answer.status_code, answer.headers["Location"]) == (202, f"/v1/diagnoses/{job_id}")
    assert answer.headers["Retry-After"]
    assert service.woken == [job_id]
    storage = service.backing.storage
    assert storage.read(f"{job_id}/model") == MODEL
    assert storage.read(f"{job_id}/batch") == b'{"input": [[1, 2]]}'
    assert Options.model_validate_json(storage.read(f"{job_id}/options.json")) == Options.model_validate(options)
    assert service.backing.jobs.get(job_id).status is Status.QUEUED


def test_a_json_body_is_the_same_as_files(service: Service) -> None:
    body = {
        "model": json.loads(MODEL),
        "batch": {"input": [[1, 2]]},
        "second_batch": {"input": [[3, 4]]},
        "options": {"seed": 7, "treatments": ["tanh"]},
    }
    job_id = service.post("/v1/diagnoses", json=body).json()["id"]
    storage = service.backing.storage
    assert json.loads(storage.read(f"{job_id}/model")) == body["model"]
    assert json.loads(storage.read(f"{job_id}/batch")) == body["batch"]
    assert json.loads(storage.read(f"{job_id}/second-batch")) == body["second_batch"]
    assert json.loads(storage.read(f"{job_id}/options.json"))["seed"] == 7


def test_external_data_is_kept_under_its_names(service: Service) -> None:
    onnx = b"\x08\x0a:\x00"
    files = [("model", ("m.onnx", onnx)), ("data", ("w1.bin", b"abc")), ("data", ("w2.bin", b"de"))]
    job_id = service.post("/v1/diagnoses", files=files).json()["id"]
    storage = service.backing.storage
    assert storage.names(f"{job_id}/data") == ("w1.bin", "w2.bin")
    assert storage.read(f"{job_id}/data/w2.bin") == b"de"


def test_a_second_batch_is_kept_makes_another_request_and_is_erased(service: Service) -> None:
    files = {"model": MODEL, "batch": b'{"input": [[1, 2]]}', "second_batch": b'{"input": [[3, 4]]}'}
    headers = {"Idempotency-Key": "one"}
    job_id = service.post("/v1/diagnoses", files=files, headers=headers).json()["id"]
    assert service.backing.storage.read(f"{job_id}/second-batch") == files["second_batch"]
    other = files | {"second_batch": b'{"input": [[5, 6]]}'}
    assert service.post("/v1/diagnoses", files=other, headers=headers).json()["type"] == "/problems/key-reused"
    assert service.call("DELETE", f"/v1/diagnoses/{job_id}").status_code == 204
    assert service.backing.storage.names(job_id) == ()


def test_an_upload_of_many_chunks_arrives_whole(service: Service) -> None:
    batch = b'{"input": [' + b"1," * 3_000_000 + b"1]}"
    job_id = service.post("/v1/diagnoses", files={"model": MODEL, "batch": io.BytesIO(batch)}).json()["id"]
    kept = service.backing.storage.read(f"{job_id}/batch")
    assert hashlib.sha256(kept).digest() == hashlib.sha256(batch).digest()


def test_waiting_ends_with_the_job(service: Service) -> None:
    async def story() -> tuple[httpx.Response, float]:
        async with service.client() as client:
            waiting = asyncio.create_task(
                client.post("/v1/diagnoses", files={"model": MODEL}, headers={"Prefer": "respond-async, wait=20"})
            )
            while not service.woken:  # noqa: ASYNC110  the list is filled by another thread
                await asyncio.sleep(0.01)
            await asyncio.to_thread(service.succeed, service.woken[0])
            return await waiting, time.monotonic()

    answer, _ = asyncio.run(story())
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.json()["status"] == "succeeded"
    assert "Retry-After" not in answer.headers


def test_a_wait_that_runs_out_is_202(service: Service) -> None:
    answer = service.post("/v1/diagnoses", files={"model": MODEL}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=1")
    job_id = answer.json()["id"]
    answer = service.get(f"/v1/diagnoses/{job_id}", headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json()["status"], answer.headers["Retry-After"]) == (200, "queued", "1")


def test_a_repeated_request_gets_the_first_answer(service: Service) -> None:
    headers = {"Idempotency-Key": "one"}
    first = service.post("/v1/diagnoses", files={"model": MODEL}, headers=headers).json()
    again = service.post("/v1/diagnoses", files={"model": MODEL}, headers=headers)
    assert again.status_code == 202
    assert again.json()["id"] == first["id"]
    assert service.woken == [first["id"]]
    assert service.get("/v1/diagnoses").json()["items"] == [first]
    assert service.backing.storage.names(first["id"]) == ("model", "options.json")


def test_a_key_with_another_body_is_refused_and_leaves_nothing(service: Service) -> None:
    headers = {"Idempotency-Key": "one"}
    first = service.post("/v1/diagnoses", files={"model": MODEL}, headers=headers).json()
    other = service.post("/v1/diagnoses", files={"model": MODEL + b" "}, headers=headers)
    assert (other.status_code, other.json()["type"]) == (422, "/problems/key-reused")
    assert [item["id"] for item in service.get("/v1/diagnoses").json()["items"]] == [first["id"]]


def test_an_unchanged_job_is_304(service: Service) -> None:
    job_id = service.submit()
    first = service.get(f"/v1/diagnoses/{job_id}")
    headers = {"If-None-Match": first.headers["ETag"]}
    assert service.get(f"/v1/diagnoses/{job_id}", headers=headers).status_code == 304
    service.succeed(job_id)
    assert service.get(f"/v1/diagnoses/{job_id}", headers=headers).status_code == 200


def test_pages_follow_one_another(service: Service) -> None:
    ids = [service.submit() for _ in range(5)]
    service.succeed(ids[2])
    seen, url = [], "/v1/diagnoses?limit=2"
    while url:
        answer = service.get(url)
        seen += [item["id"] for item in answer.json()["items"]]
        url = answer.links["next"]["url"] if "next" in answer.links else ""
    assert seen == ids[::-1]
    assert [item["id"] for item in service.get("/v1/diagnoses?verdict=fail").json()["items"]] == [ids[2]]
    assert len(service.get("/v1/diagnoses?status=queued").json()["items"]) == 4


def test_erasing_leaves_nothing(service: Service) -> None:
    job_id = service.submit()
    service.succeed(job_id)
    assert service.call("DELETE", f"/v1/diagnoses/{job_id}").status_code == 204
    assert service.get(f"/v1/diagnoses/{job_id}").status_code == 404
    assert service.backing.storage.names(job_id) == ()


def test_events_tell_each_step_once_and_end_with_done(service: Service) -> None:
    job_id = service.submit()
    jobs = service.backing.jobs

    async def story(headers: dict[str, str]) -> str:
        async with service.client() as client:
            reading = asyncio.create_task(client.get(f"/v1/diagnoses/{job_id}/events", headers=headers))
            if not headers:
                await asyncio.sleep(0.2)
                await asyncio.to_thread(jobs.claim, job_id, "token")
                for doing in ("", "trying tanh, 1 of 2", "trying selu, 2 of 2"):
                    await asyncio.to_thread(jobs.beat, job_id, "token", Stage.PROBING, 0.5, doing)
                    await asyncio.sleep(0.6)
                await asyncio.to_thread(jobs.commit, job_id, "token", Status.SUCCEEDED, verdict=Verdict.PASS)
            return (await reading).text

    text = asyncio.run(story({}))
    events = [dict(line.split(": ", 1) for line in event.split("\n")) for event in text.strip().split("\n\n")]
    told = [json.loads(event["data"]) for event in events]
    assert [event["event"] for event in events] == ["progress"] * 4 + ["done"]
    assert [job["stage"] for job in told] == ["queued", "probing", "probing", "probing", "done"]
    assert [job["detail"] for job in told] == ["", "", "trying tanh, 1 of 2", "trying selu, 2 of 2", ""]
    assert all(re.fullmatch(r"[\w.]{1,60}", event["id"]) for event in events)
    assert len({event["id"] for event in events}) == len(events)
    again = asyncio.run(story({"Last-Event-ID": events[1]["id"]}))
    assert again.count("event: ") == 1
    assert "event: done" in again


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/markdown", "text/markdown"),
        ("application/json;q=0.5, text/plain", "text/plain"),
    ],
)
def test_the_report_comes_in_the_wanted_form(service: Service, accept: str | None, media_type: str) -> None:
    job_id = service.submit()
    sent = service.succeed(job_id)
    answer = service.get(f"/v1/diagnoses/{job_id}/report", headers={"Accept": accept} if accept else {})
    assert answer.headers["Content-Type"].partition(";")[0] == media_type
    if media_type == "application/json":
        assert answer.json() == json.loads(sent.model_dump_json(by_alias=True))
    headers = {"Accept": accept or "*/*", "If-None-Match": answer.headers["ETag"]}
    assert service.get(f"/v1/diagnoses/{job_id}/report", headers=headers).status_code == 304


def test_a_format_in_the_url_wins(service: Service) -> None:
    job_id = service.submit()
    service.succeed(job_id)
    answer = service.get(f"/v1/diagnoses/{job_id}/report?format=html")
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert service.get(f"/v1/diagnoses/{job_id}/report?format=docx").status_code == 406


@pytest.mark.parametrize("path", ["report", "gate", "treated-model"])
def test_what_is_not_there_yet_is_a_409_problem(service: Service, path: str) -> None:
    answer = service.get(f"/v1/diagnoses/{service.submit()}/{path}")
    assert (answer.status_code, answer.headers["Content-Type"]) == (409, "application/problem+json")
    assert answer.json()["type"] == "/problems/not-finished"


@pytest.mark.parametrize("path", ["report", "gate", "treated-model"])
def test_a_failed_job_has_no_report_and_says_why(service: Service, path: str) -> None:
    job_id = service.submit()
    service.fail(job_id, UnsupportedOperator("Nobody computes Frobnicate (opset 17).").problem())
    answer = service.get(f"/v1/diagnoses/{job_id}/{path}")
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/no-report")
    assert Problem.model_validate(answer.json()["cause"]).detail == "Nobody computes Frobnicate (opset 17)."


def test_the_treated_model_is_served_where_there_is_one(service: Service) -> None:
    job_id = service.submit()
    service.succeed(job_id)
    assert service.get(f"/v1/diagnoses/{job_id}/treated-model").status_code == 404
    service.backing.storage.write(f"{job_id}/treated-model", MODEL)
    answer = service.get(f"/v1/diagnoses/{job_id}/treated-model")
    assert (answer.content, answer.headers["Content-Type"]) == (MODEL, "application/json")
    assert 'filename="treated.json"' in answer.headers["Content-Disposition"]
    service.backing.storage.write(f"{job_id}/treated-model", b"\x08\x0a")
    answer = service.get(f"/v1/diagnoses/{job_id}/treated-model")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert 'filename="treated.onnx"' in answer.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("severity", "status", "verdict"),
    [(Severity.ERROR, 409, "fail"), (Severity.WARNING, 200, "warn"), (Severity.INFO, 200, "pass")],
)
def test_the_gate_lets_through_or_shuts(service: Service, severity: Severity, status: int, verdict: str) -> None:
    job_id = service.submit()
    service.succeed(job_id, report(finding(severity=severity)))
    answer = service.get(f"/v1/diagnoses/{job_id}/gate")
    assert (answer.status_code, answer.json()["verdict"]) == (status, verdict)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["findings"][0]["code"] == "GRD01"


def test_the_gate_follows_the_policy_of_the_job_or_of_the_question(service: Service) -> None:
    files = {"model": MODEL, "options": (None, json.dumps({"policy": {"rules": {"GRD01": {"level": "off"}}}}))}
    job_id = service.post("/v1/diagnoses", files=files).json()["id"]
    service.succeed(job_id, report(finding()))
    assert service.get(f"/v1/diagnoses/{job_id}/gate").status_code == 200
    assert service.post(f"/v1/diagnoses/{job_id}/gate", json={"fail_on": "info"}).status_code == 409
    wrong = service.post(f"/v1/diagnoses/{job_id}/gate", json={"fail_on": "often"})
    assert (wrong.status_code, wrong.json()["pointer"]) == (422, "/fail_on")


def test_one_call_submits_waits_and_judges(service: Service) -> None:
    async def story() -> httpx.Response:
        async with service.client() as client:
            waiting = asyncio.create_task(client.post("/v1/gate", files={"model": MODEL}))
            while not service.woken:  # noqa: ASYNC110  the list is filled by another thread
                await asyncio.sleep(0.01)
            await asyncio.to_thread(service.succeed, service.woken[0])
            return await waiting

    answer = asyncio.run(story())
    assert (answer.status_code, answer.json()["verdict"]) == (409, "fail")
    late = service.post("/v1/gate", files={"model": MODEL}, headers={"Prefer": "wait=0"})
    assert (late.status_code, late.json()["status"]) == (202, "queued")


def test_health_needs_nothing_and_readiness_needs_a_worker(service: Service) -> None:
    assert service.get("/healthz").status_code == 200
    away = service.get("/readyz")
    assert (away.status_code, away.json()["type"]) == (503, "/problems/unavailable")
    assert away.json()["checks"] == {"queue": True, "storage": True, "workers": False}
    service.backing.jobs.attend("worker-1")
    ready = service.get("/readyz")
    assert (ready.status_code, ready.json()["workers"]) == (200, 1)


def test_metrics_count_what_happened(service: Service) -> None:
    service.submit()
    service.get("/nowhere")
    text = service.get("/metrics").text
    assert 'gradgate_http_requests_total{method="POST",route="/v1/diagnoses",status="202"} 1.0' in text
    assert 'route="(none)",status="404"' in text
    assert "gradgate_queue_depth 1.0" in text
    assert "gradgate_diagnoses_accepted_total 1.0" in text


def test_the_front_door_shows_what_was_examined_lately(service: Service) -> None:
    assert "Nothing yet" in service.get("/").text
    good, bad = service.submit(), service.submit()
    service.succeed(good)
    service.fail(bad, UnsupportedOperator("Nobody computes <b>Frobnicate</b>.").problem())
    answer = service.get("/")
    assert f"/v1/diagnoses/{good}/report?format=html" in answer.text
    assert "Nobody computes &lt;b&gt;Frobnicate&lt;/b&gt;." in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_treatment_is_data_for_programs_and_a_page_for_people(service: Service) -> None:
    for entry in service.get("/v1/treatments").json()[:5]:
        url = f"/v1/treatments/{entry['name'].upper()}"
        assert service.get(url).json() == entry
        page = service.get(url, headers={"Accept": "text/html,*/*;q=0.8"}).text
        assert all(f"<h2>{title}</h2>" in page for title in entry["sections"])
        assert page.count("<pre>") == len(entry.get("hints", {}))
    assert service.get("/v1/treatments/none").json()["type"] == "/problems/not-found"


def test_a_rule_is_data_for_programs_and_a_page_for_people(service: Service) -> None:
    for entry in service.get("/v1/rules").json():
        url = f"/v1/rules/{entry['code'].lower()}"
        assert service.get(url).json() == entry
        page = service.get(url, headers={"Accept": "text/html,*/*;q=0.8"})
        assert page.headers["Content-Type"].startswith("text/html")
        assert all(f"<h2>{title}</h2>" in page.text for title in entry["sections"])
