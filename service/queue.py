"""The queue: a message wakes a worker up and carries a job's id, nothing else.

What a job is and who runs it stands in its record.  So a lost message costs time and a repeated one costs nothing.
"""

from typing import Final

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis import RedisError

from service.settings import Settings

TASK: Final = "gradgate.examine"
QUEUE: Final = "gradgate"
_MARGIN_S: Final = 180
"""Seconds that a slot may take beyond the job's own: for a new zygote, for a child's end, for a server that is away."""

log = structlog.get_logger(__name__)


def queue(settings: Settings) -> Celery:
    """Return the Celery application; there is no result backend, as the job's record is the result."""
    app = Celery("gradgate", broker=settings.redis_url, set_as_current=False)
    longest = int(settings.job_time_limit_s)
    app.conf.update(
        result_backend=None,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        # A message is acknowledged when its job has ended; how often a job starts is counted in its record.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=True,
        worker_prefetch_multiplier=1,
        worker_disable_prefetch=True,
        # The last resort: a job's own clock runs out long before.
        task_soft_time_limit=longest + _MARGIN_S,
        task_time_limit=longest + _MARGIN_S + 30,
        worker_soft_shutdown_timeout=settings.grace_s,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        task_publish_retry_policy={"max_retries": 2, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.3},
        broker_transport_options={
            "visibility_timeout": 2 * (longest + _MARGIN_S),
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "socket_timeout": 10,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "global_keyprefix": "gradgate:",
        },
    )
    return app


def enqueue(app: Celery, job_id: str) -> bool:
    """Wake a worker up for the job.  False where the queue is away: the job waits, and the reaper sends again."""
    try:
        app.send_task(TASK, args=[job_id], queue=QUEUE)
    except (OperationalError, RedisError, OSError) as error:
        log.warning("message not sent", job=job_id, error=str(error))
        return False
    return True


def waiting(app: Celery) -> int:
    """Count the messages that no worker has taken."""
    with app.connection_for_read() as connection:
        return int(connection.default_channel.queue_declare(QUEUE, durable=True).message_count)
