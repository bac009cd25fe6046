"""`gradgate up`: the queue's server, a worker and the API in one terminal, with nothing to install or configure."""

from service.embedded.household import up

__all__ = ["up"]
