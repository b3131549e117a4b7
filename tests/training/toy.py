"""Settings under which a training run takes seconds: a small network, squares and loss layers."""

SETTINGS = [
    "network={name = 'lean', width = 8, blocks = 1}",
    "backbone.style_layers=['relu1_1', 'relu2_1']",
    "backbone.content_layers=['relu2_1']",
    "data.short_side=64",
    "data.crop=48",
    "style.size=32",
    "batch=2",
]
