"""The term "tv2" of recipes: `losses.tv` of the second power, which spreads edges.

Reference:
    Mahendran and Vedaldi, CVPR 2015 (arXiv:1412.0035), eq. 6 with beta = 2 (sums).
"""

from .tv import VariationTerm


class SquaredVariationTerm(VariationTerm):
    """`total_variation` of the output, squared differences."""

    power = 2


PLUGIN = SquaredVariationTerm
