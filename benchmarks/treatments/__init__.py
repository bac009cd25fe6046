"""The benchmark of treatments: what prescriptions, single advice, chance and AutoTrainer's order do for sick models.

`check` asks of a treated model whether it is cured, by training that shares no decision with the service; `advice` and
`autotrainer` are what prescriptions are held against, `run` measures, `page` writes `docs/treatments.md`.
"""
