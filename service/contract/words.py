"""The closed lists of words that reports and options are written in."""

from enum import StrEnum


class Symptom(StrEnum):
    """What a finding shows."""

    VANISHING_GRADIENT = "vanishing_gradient"
    EXPLODING_GRADIENT = "exploding_gradient"
    NO_GRADIENT = "no_gradient"
    GRADIENT_SPIKES = "gradient_spikes"
    SHATTERED_GRADIENT = "shattered_gradient"
    DEAD_UNITS = "dead_units"
    SATURATED_UNITS = "saturated_units"
    SYMMETRIC_INIT = "symmetric_init"
    POOR_INIT_SCALE = "poor_init_scale"
    RANK_COLLAPSE = "rank_collapse"
    ATTENTION_COLLAPSE = "attention_collapse"
    NON_FINITE = "non_finite"
    PRECISION_RANGE = "precision_range"
    UNSTABLE_LEARNING_RATE = "unstable_learning_rate"
    SLOW_LEARNING_RATE = "slow_learning_rate"
    STALLED_TRAINING = "stalled_training"
    MISSING_NORMALIZATION = "missing_normalization"
    NORMALIZATION_MISUSE = "normalization_misuse"
    RESIDUAL_SCALE = "residual_scale"
    RECURRENT_GAIN = "recurrent_gain"
    INPUT_SCALE = "input_scale"
    LOSS_MISMATCH = "loss_mismatch"
    TARGET_PROBLEM = "target_problem"
    STRUCTURE_FAULT = "structure_fault"
    """Something about the layers themselves: no nonlinearity between them, weights that nothing reads."""
    GRADIENT_NOISE = "gradient_noise"
    OVER_REGULARIZATION = "over_regularization"


class Severity(StrEnum):
    """How much a finding weighs: an error rejects, a warning warns, an info informs."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Verdict(StrEnum):
    """What a report, or a gate, says of a model."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    WARN = "warn"
    FAIL = "fail"


class TreatmentKind(StrEnum):
    """What a treatment changes."""

    INIT = "init"
    ACTIVATION = "activation"
    NORMALIZATION = "normalization"
    CLIPPING = "clipping"
    RESIDUAL = "residual"
    LEARNING_RATE = "learning_rate"
    OPTIMIZER = "optimizer"
    REGULARIZATION = "regularization"
    LOSS = "loss"
    DATA = "data"
    PRECISION = "precision"


class RemedyStatus(StrEnum):
    """What became of a treatment when it was tried."""

    RECOMMENDED = "recommended"
    WORKS = "works"
    INEFFECTIVE = "ineffective"
    HARMFUL = "harmful"
    NOT_APPLICABLE = "not_applicable"
    UNTESTED = "untested"


class LossName(StrEnum):
    """The losses that a subject can be measured under; `auto` reads one off the output and the target."""

    AUTO = "auto"
    CROSS_ENTROPY = "cross_entropy"
    PROBABILITY_CROSS_ENTROPY = "probability_cross_entropy"
    """Keras's, of probabilities: they are divided by their sum and kept within 1e-7 to 1 - 1e-7."""
    NLL = "nll"
    BCE = "bce"
    BCE_WITH_LOGITS = "bce_with_logits"
    MSE = "mse"
    MAE = "mae"
    HUBER = "huber"


class OptimizerName(StrEnum):
    """The optimizers that a training trial can use, each torch.optim's own."""

    SGD = "sgd"
    MOMENTUM = "momentum"
    NESTEROV = "nesterov"
    ADAM = "adam"
    NADAM = "nadam"
    ADAMW = "adamw"
    RMSPROP = "rmsprop"
    ADAGRAD = "adagrad"


class Depth(StrEnum):
    """How far an examination goes."""

    QUICK = "quick"
    STANDARD = "standard"
    DEEP = "deep"


class Mode(StrEnum):
    """Whether normalization and dropout behave as in training or as in evaluation."""

    TRAIN = "train"
    EVAL = "eval"


class Precision(StrEnum):
    """The number format that the caller means to train in."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Stage(StrEnum):
    """Where an examination is."""

    QUEUED = "queued"
    LOADING = "loading"
    PROBING = "probing"
    TRAINING = "training"
    DIAGNOSING = "diagnosing"
    TREATING = "treating"
    REPORTING = "reporting"
    DONE = "done"
