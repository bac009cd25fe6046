"""The API as a process.

python -m service.serving HOST PORT
"""

import sys

import uvicorn

from service import logs
from service.app import create_app
from service.settings import Settings


def serve(settings: Settings, host: str, port: int) -> None:
    """Serve the API until told to stop; requests that are running get a few seconds to end."""
    logs.configure()
    uvicorn.run(
        create_app(settings),
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    serve(Settings(), sys.argv[1], int(sys.argv[2]))
