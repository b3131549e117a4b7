"""Train style-transfer generators: Fast NST, AdaIN, CycleGAN and their kin.

`train` runs a recipe (`recipes/*.toml`): `config` reads it, a file of `methods/` says what one step
is, `engine` repeats steps, keeps the budget and writes checkpoints. Networks stand in `networks/`,
terms of the objective in `losses/`, pretrained feature extractors in `backbones/`, pictures in
`data/`. `optimize` paints one picture by gradient descent (Gatys), as the reference.

A new loss, network or method is one new file in its folder. Training imports `runtime` for the
model card and nothing of `export` or `benchmarks`.
"""

from runtime.missing import explain_at_start

explain_at_start()
