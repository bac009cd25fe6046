"""A report as an examination of a deep sigmoid network gives it, small enough to read."""

import math
from datetime import UTC, datetime

from service.contract.profile import ActivationProfile, GradientProfile, ParameterProfile, ProfileRow
from service.contract.report import (
    BatchSection,
    Coverage,
    Engine,
    Fidelity,
    Finding,
    LossSection,
    ModelSection,
    Place,
    Prescription,
    Remedy,
    Report,
    Tensor,
    Trial,
)
from service.contract.training import TrainingSection
from service.contract.words import LossName, OptimizerName, RemedyStatus, Severity, Symptom, TreatmentKind, Verdict

LAYERS = 12


def row(index: int) -> ProfileRow:
    """One layer: its gradient is a quarter of the next one's."""
    share = 0.25 ** (LAYERS - 1 - index)
    return ProfileRow(
        node=f"layers/{index}",
        op="Gemm",
        origin=f'layers/{index} "fc{index}" (dense)',
        depth=index,
        shape=(32, 64),
        activation=ActivationProfile(mean=0.5, std=0.1, rms=0.51, zero=0, saturated=0.02, nonfinite=0),
        gradient=GradientProfile(rms=0.01 * share, relative=share, nonfinite=0),
        parameter=ParameterProfile(
            name=f"fc{index}.weight", count=4096, rms=0.1, gradient_rms=0.003 * share, update_ratio=1e-3 * share
        ),
    )


def finding(code: str = "GRD01", severity: Severity = Severity.ERROR, places: int = 5, title: str = "") -> Finding:
    """A finding at the first `places` layers."""
    return Finding(
        code=code,
        symptom=Symptom.VANISHING_GRADIENT,
        severity=severity,
        title=title or "The gradient fades on its way back to the first layers",
        explanation="The first layers get less than a thousandth of the gradient that the last one gets.",
        places=tuple(
            Place(node=f"layers/{i}", origin=f'layers/{i} "fc{i}" (dense)', measured=0.25 ** (11 - i), limit=1e-3)
            for i in range(places)
        ),
        evidence={"decay_per_layer": 0.25},
        confidence=0.97,
        remedies=("R1", "R2"),
        docs=f"/v1/rules/{code}",
    )


def remedy(identifier: str, status: RemedyStatus, after: float) -> Remedy:
    """A treatment that moved the weakest gradient's share."""
    return Remedy(
        id=identifier,
        treatment="relu-and-he",
        kind=TreatmentKind.ACTIVATION,
        title="Use ReLU in place of Sigmoid",
        rationale="A sigmoid passes at most a quarter of the gradient; a rectifier passes all of it.",
        changes=("layers/1: Sigmoid becomes Relu", "layers/0: weights drawn by He's law"),
        status=status,
        cures=("GRD01",) if after > 1e-3 else (),
        leaves=() if after > 1e-3 else ("GRD01",),
        trial=Trial(
            before={"weakest_gradient": 2.4e-7, "final_loss": 2.3026},
            after={"weakest_gradient": after, "final_loss": 1.2},
            seeds=3,
            steps=200,
            p_value=0.002,
        ),
        retrains=True,
    )


def report(*findings: Finding, verdict: Verdict = Verdict.FAIL, **changes: object) -> Report:
    """A report with these findings, or with one of a vanishing gradient."""
    found = Report(
        id="0" * 32,
        engine=Engine(version="0.1.0", torch="2.13.0", device="cpu"),
        created_at=datetime(2026, 11, 21, 8, 0, tzinfo=UTC),
        timing={"loading": 0.1, "probing": 0.4, "training": 1.5, "treating": 3.0},
        model=ModelSection(
            format="gradgate",
            sha256="ab" * 32,
            nodes=24,
            parameters=49_152,
            trainable_parameters=49_152,
            inputs=(Tensor(name="input", dtype="float32", shape=("batch", 64)),),
            outputs=(Tensor(name="output", dtype="float32", shape=("batch", 10)),),
        ),
        batch=BatchSection(
            sha256=None,
            size=32,
            inputs=(Tensor(name="input", dtype="float32", shape=(32, 64)),),
            synthetic=True,
            notes=("No batch came with the model; one was drawn from a standard normal law.",),
        ),
        loss=LossSection(name=LossName.CROSS_ENTROPY, value=2.31, chance=2.3026),
        fidelity=Fidelity(reference="onnxruntime 1.31.1", max_relative_error=3e-7, compared=1, ok=True),
        verdict=verdict,
        summary="The first five layers will hardly learn: their gradient is under a thousandth of the last layer's.",
        findings=findings or (finding(),),
        remedies=(
            remedy("R1", RemedyStatus.RECOMMENDED, 0.31),
            remedy("R2", RemedyStatus.INEFFECTIVE, 5e-7),
        ),
        prescription=Prescription(
            remedies=("R1",),
            title="Use ReLU in place of Sigmoid, with He's initialisation",
            trial=remedy("R1", RemedyStatus.RECOMMENDED, 0.31).trial,
            treated_model=True,
        ),
        profile=tuple(row(index) for index in range(LAYERS)),
        training=TrainingSection(
            steps=200,
            seeds=3,
            optimizer=OptimizerName.ADAM,
            learning_rate=1e-3,
            loss=tuple(2.3026 - 0.001 * step for step in range(40)),
            gradient_norm=(0.1, 0.09, math.inf, math.nan, 0.2),
        ),
        coverage=(
            Coverage(code="GRD01", status="fired"),
            Coverage(code="GRD02", status="clear"),
            Coverage(code="REC01", status="not_applicable", reason="The model has no recurrent layer."),
        ),
    )
    return found.model_copy(update=changes).sealed()
