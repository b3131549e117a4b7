"""Control from other programs and devices: OSC over the network, MIDI from a desk with knobs.

Both say the same as keys do, by one table (`table`).
"""
