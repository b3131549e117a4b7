"""Photographs in the style of photographs: colors and light move, edges stay where they are.

Luan, Paris, Shechtman, Bala, "Deep Photo Style Transfer", CVPR 2017 (arXiv:1703.07511):

    objective = content + style by regions + LAMBDA matting_energy

`regions` says which part of the photograph takes after which part of the other one, the term is
`training.losses.matting`, and `smoothing` removes what little painting is left.
"""

# Of the paper, whose energies are sums; ours are means over pixels and, for styles, relative.
LAMBDA = 1e4
