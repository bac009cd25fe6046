"""What callers see, as pydantic models: the API publishes it and the worker fulfils it."""
