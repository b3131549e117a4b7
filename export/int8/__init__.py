"""Quantization: scales from photographs, and graphs that compute in bytes.

`calibrate` measures activation ranges, `balance` and `channel_scaling` even them out per channel.
The scales follow from the ranges by `training.quantization` (`quantize_range`, `quantize_weights`),
because training for bytes needs the same formulas, and by `symmetric` for TensorRT. `lean_layers`
takes a lean network apart into convolutions, `integer_graph` and `normalized_graph` write it as an
int8 graph, `whole_frame` makes the shipped file of it.
"""
