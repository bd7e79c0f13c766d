"""Temperature: probabilities brought nearer to how often they come true (Guo et al. 2017)."""

from __future__ import annotations

import numpy as np

from pleura.core.types import Probabilities

__all__ = ["temper"]


def temper(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Divide the logits by `temperature`: above 1 is less sure, below 1 surer; 1 changes nothing.

    sigmoid(logit(p) / T) is p^(1/T) / (p^(1/T) + (1 - p)^(1/T)), which needs no care at 0 and 1.
    What lies at 0.5 stays there, so no pixel of the network's square changes sides.
    """
    if temperature == 1:
        return probabilities
    yes = np.power(probabilities, 1 / temperature)
    no = np.power(1 - probabilities, 1 / temperature)
    tempered: Probabilities = (yes / (yes + no)).astype(np.float32, copy=False)
    return tempered
