"""Training for int8: the formulas of scales, and a network that rounds as its int8 graph will.

`scales` computes scales and zero points from weights and ranges; `fake` is fake quantization with
gradients, which `training.methods.quantized` trains by. Which ranges an exported network gets, from
photos, is `export.int8`'s.
"""
