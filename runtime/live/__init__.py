"""Painting what a camera sees, at a held rate: capture, style, stabilize, show, a thread each.

`setup` puts a run together from the command's options, `pipeline` is its threads, `loop` the main
thread. `controller` holds the frame rate, `output_threads` feed what stands beside
the window.
"""
