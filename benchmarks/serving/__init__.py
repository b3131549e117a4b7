"""What a server costs beside sessions in its caller: `python -m benchmarks.serving`."""
