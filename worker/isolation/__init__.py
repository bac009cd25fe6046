"""Each job in a process of its own, forked from a zygote that has everything loaded, and confined before it starts.

    slot (Celery)  ──order──▶  zygote ──fork──▶ child: confine, examine, write report.json
         ◀──progress, problem── child
         ◀──exit status──────── zygote

All three speak over one Unix socket connection, a JSON object per line.  When the slot hangs up, the zygote kills the
child with all its descendants; when the zygote dies, the kernel kills the child.
"""
