"""A plug-in's page: its docstring, a title and text under headings."""


def sections(page: str) -> dict[str, str]:
    """Split a docstring at its unindented headings."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in page.splitlines()[1:]:
        if line and not line.startswith(" "):
            heading = line.strip()
        elif heading:
            found.setdefault(heading, []).append(line.strip())
    return {name: " ".join(filter(None, lines)) for name, lines in found.items()}
