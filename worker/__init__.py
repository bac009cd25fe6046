"""Everything that needs torch: networks, probing, rules, treatments, trials, and the edge to the queue.

Importing it, before torch, tells OpenMP's threads to sleep while they wait for each other.  Spinning, which is the
default, makes a training step a hundred times slower on a machine that is busy with anything else.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
