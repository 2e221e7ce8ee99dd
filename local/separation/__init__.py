"""Single-channel speech separation: corpora, models, training, inference, evaluation, reports."""

import warnings

# torchmetrics, which Asteroid pins, says this at every start of every worker.
warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
