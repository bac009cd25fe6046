"""The labelled benchmark: models that are healthy or sick by construction, and what training said of each.

`case` says what a case is and yields all of them, `families` builds them, `labels` trains them and keeps what came out.
"""
