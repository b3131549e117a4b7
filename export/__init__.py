"""Turn checkpoints into models that ship: compressed, converted, proven against their source.

`python -m export` makes one artifact (`artifact`) or all of them (`all_targets`): `source` opens
the checkpoint, a file of `targets/` writes the format, `verify/` compares it with its source and
writes the validation report beside it. `int8/` and `fp16/` hold the quantizers, `prune/` structured
pruning; `distill` and `finetune` train students and quantization-aware networks.

A new format is one new file in `targets/`.
"""

from runtime.missing import explain_at_start

explain_at_start()
