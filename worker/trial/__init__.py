"""The trial: treatments on copies, measured as the subject was, with the same seeds.

What may help is screened by a probe; what promises something trains beside the untreated subject (`duel`) and is
examined as it was (`bench`).  A remedy's `cures`, `leaves` and `causes` are set differences of findings (`judging`).
The smallest set that cures is looked for in the order of what it costs, confirmed under seeds that nothing was chosen
by (`clinic`), and told with its numbers (`telling`).
"""

from worker.trial.bench import Bench, Tried, applied_to
from worker.trial.clinic import Clinic
from worker.trial.examined import Examined, figures, measured
from worker.trial.sets import treat
from worker.trial.telling import partial, prescription, remedies

__all__ = [
    "Bench",
    "Clinic",
    "Examined",
    "Tried",
    "applied_to",
    "figures",
    "measured",
    "partial",
    "prescription",
    "remedies",
    "treat",
]
