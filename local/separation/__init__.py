"""Single-channel speech separation: corpora, models, training, inference, evaluation, reports."""
