"""What happens when something behind the service is away."""

from pathlib import Path

from service.settings import Settings
from tests.real_server import free_port
from tests.service.api import MODEL, Service


def test_without_the_queue_nothing_is_accepted_and_nothing_stays(tmp_path: Path) -> None:
    settings = Settings(redis_url=f"redis://127.0.0.1:{free_port()}/0", storage=f"file:{tmp_path}/s")
    service = Service(settings)
    answer = service.post("/v1/diagnoses", files={"model": MODEL})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.headers["Retry-After"]
    assert list((tmp_path / "s").rglob("*")) == []
    assert service.get("/v1/diagnoses").status_code == 503
    assert service.get("/readyz").json()["checks"] == {"queue": False, "storage": True, "workers": False}
    assert "gradgate_up 0.0" in service.get("/metrics").text
    assert service.get("/healthz").status_code == 200
