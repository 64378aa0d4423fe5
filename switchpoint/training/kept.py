"""Which epoch's model a training keeps: the last that is not shown worse than the best."""

import math


def near(accuracy: float, highest: float, photos: int) -> bool:
    """Whether an epoch's validation accuracy is within one standard error of the highest so far.

    On few photos the highest of several epochs is chance, and what the last one learnt is not; on many, the error is
    small and little but the highest is left. docs/choice.md has what this and other rules lose.

    Args:
        accuracy: In [0, 1].
        highest: In [0, 1].
        photos: That validated.

    Source:
        Breiman, Friedman, Olshen and Stone 1984, Classification and Regression Trees, section 3.4.3 (1 SE rule)
    """
    return accuracy >= highest - math.sqrt(highest * (1 - highest) / photos)
