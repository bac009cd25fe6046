"""Everything that runs without torch: the HTTP service, the command line, the contract."""

__version__ = "0.1.0"
