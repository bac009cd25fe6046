"""What the graph and its weights show by themselves, without a gradient: for rules that hold for a bare file.

Cost: none of the sweep's passes again, but one forward pass in evaluation mode where a trained model computes something
else there, and a few products with a part of each kernel.
"""

from worker.network.layers import weight_layers
from worker.probe.evidence import Structure
from worker.probe.structure.affine import flatness
from worker.probe.structure.batch_norms import bare, dropped, plain_norms, repeating
from worker.probe.structure.biases import biased
from worker.probe.structure.convolutions import lopsided, pointlike
from worker.probe.structure.evaluation import evaluated, folded, two_modes
from worker.probe.structure.kernels import measure_kernels
from worker.probe.structure.mean_field import predict
from worker.probe.structure.spectrum import trained
from worker.probe.sweep import Sweep


def measure_structure(sweep: Sweep) -> Structure:
    """Return what a subject's graph and weights show."""
    graph, path = sweep.subject.graph, sweep.path
    layers = tuple(layer for layer in weight_layers(graph) if layer.node.outputs[0] in path.members)
    flat, learnt = flatness(path, layers), trained(graph, layers)
    norms = plain_norms(sweep)
    without_skips, gain = bare(sweep, layers)
    return Structure(
        layers=path.depth.get(path.output, 0),
        linear=flat.linear,
        factored=flat.factored,
        unbent=flat.unbent,
        repeated=flat.repeated,
        pointlike=pointlike(sweep),
        lopsided=lopsided(path),
        biased=biased(sweep, layers),
        dropped=dropped(sweep),
        repeating=repeating(path),
        norms=norms,
        bare=without_skips,
        bare_gain=gain,
        kernels=measure_kernels(sweep, layers),
        mean_field=None if learnt else predict(sweep, layers),
        trained=learnt,
        frozen=sum(each.value.numel() for each in graph.parameters.values() if not each.trainable),
        folded=folded(graph),
        two_modes=two_modes(sweep),
        evaluation=evaluated(sweep),
    )
