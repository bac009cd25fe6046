"""The frame of an HTML page: no script, nothing from elsewhere."""

from html import escape
from types import MappingProxyType

SECURITY = MappingProxyType(
    {
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
)
"""Headers that keep a page to itself."""

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #666; --line: #ccc; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8e8; --soft: #a0a0a0; --line: #444; --paper: #161616; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.3; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin-bottom: .25rem; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; display: block; overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code, pre { font-size: .9em; overflow-wrap: anywhere; } pre { overflow-x: auto; }
a { color: inherit; } .soft { color: var(--soft); } .verdict { font-weight: 700; letter-spacing: .05em; margin: 0; }
.pass { color: #009e73; } .warn { color: #b07700; } .fail { color: #d55e00; }
article { border-left: 4px solid var(--line); padding-left: 1rem; margin: 1.5rem 0; }
article.error { border-color: #d55e00; } article.warning { border-color: #e69f00; }
article.info { border-color: #56b4e9; }
.helps { border: 2px solid #009e73; border-radius: .5rem; padding: 0 1rem 1rem; }
.helps h2, .closest h2 { margin-top: 1rem; }
.closest { border: 2px solid #e69f00; border-radius: .5rem; padding: 0 1rem 1rem; }
svg { width: 100%; height: auto; } .curves { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
@media print { details { display: block; } body { max-width: none; } }
"""
"""The look of every page: two themes, colours that people with any eyes tell apart."""


def page(title: str, body: str, style: str = "") -> str:
    """Return a whole page; `title` is escaped here, `body` is markup already."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
