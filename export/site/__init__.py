"""The page for browsers: written, and proven in the engine that browsers run.

`page` writes the folder, `engine_files` brings ONNX Runtime Web, `node_engine` runs it behind the
engine contract, and `proof` compares what was packed with its source. `web/` is the page itself.
"""
