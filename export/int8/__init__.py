"""Quantization: scales from photographs, and graphs that compute in bytes.

`calibrate` measures activation ranges, `balance` and `channel_scaling` even them out per channel,
`scales` computes the scale and zero point of every tensor. `lean_layers` takes a lean network apart
into convolutions, `integer_graph` and `normalized_graph` write it as an int8 graph, `whole_frame`
makes the shipped file of it; `symmetric` puts TensorRT's quantizers into any graph. Training for
int8 is `training.quantization`.
"""
