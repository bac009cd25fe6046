"""All bombs."""

from tests.bombs import of_appetite, of_bytes, of_depth, of_lies
from tests.bombs.bombs import BOMBS

KINDS = (of_appetite, of_bytes, of_depth, of_lies)
"""What has registered them."""
STATIC = {name: bomb for name, bomb in BOMBS.items() if not bomb.needs_limits}
JAILED = {name: bomb for name, bomb in BOMBS.items() if bomb.needs_limits}
