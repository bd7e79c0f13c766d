"""Training and judging networks: data sets, training, evaluation, reports, studies."""
