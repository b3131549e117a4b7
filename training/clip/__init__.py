"""CLIP: pictures and words in one space (Radford et al. 2021, arXiv:2103.00020), from a user's own
OpenCLIP weights. Nothing is downloaded, and nothing of a tokenizer is bundled: the folder of such
weights holds `open_clip_model.safetensors`, `open_clip_config.json`, `vocab.json`, `merges.txt`.

`towers` are the two networks, `words` turns a text into numbers, `folder` opens both, and
`training.losses.text` is the term.
"""
