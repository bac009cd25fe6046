"""Everything that needs torch: networks, probing, rules, treatments, trials, and the edge to the queue."""
