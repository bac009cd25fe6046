"""The settings: each a name, a default and a sentence, read from the environment once and passed on."""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 2**20


class Settings(BaseSettings):
    """Read from `GRADGATE_…` by whoever starts the process."""

    model_config = SettingsConfigDict(env_prefix="GRADGATE_", frozen=True)

    redis_url: str = Field(
        default="redis://127.0.0.1:6379/0",
        validation_alias=AliasChoices("GRADGATE_REDIS_URL", "REDIS_URL"),
        description="The Redis-protocol server that holds jobs and the queue.",
    )
    storage: str = Field(default="file:./var/storage", description="Where uploads and reports are kept, as a URL.")
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?)$",
        description="The device that jobs run on; auto takes CUDA when torch sees it.",
    )
    slots: int = Field(default=0, ge=0, le=256, description="Jobs at a time; 0 is one per two cores, one per GPU.")
    max_model_bytes: int = Field(default=1024 * MIB, gt=0, description="Largest model that is accepted.")
    max_batch_bytes: int = Field(default=256 * MIB, gt=0, description="Largest batch that is accepted.")
    max_json_bytes: int = Field(default=64 * MIB, gt=0, description="Largest JSON body that is accepted.")
    max_nodes: int = Field(default=50_000, gt=0, description="Most operators that a model may hold.")
    memory_limit_bytes: int = Field(default=8 * 1024 * MIB, gt=0, description="Most memory that one job may take.")
    job_time_limit_s: float = Field(default=900, gt=0, description="Seconds after which a job is ended for good.")
    lease_s: float = Field(default=15, gt=0, description="Seconds without a sign of life after which a job is retried.")
    grace_s: float = Field(default=20, gt=0, description="Seconds that a stopping worker leaves to running jobs.")
    max_attempts: int = Field(default=3, ge=1, description="Starts of one job before it is quarantined.")
    retention_s: float = Field(default=7 * 86400, gt=0, description="Seconds for which a finished job is kept.")
    wait_limit_s: float = Field(default=120, gt=0, description="Longest wait that `Prefer: wait` is granted.")
    data: Path = Field(default=Path("var"), description="Where `gradgate up` keeps everything.")
