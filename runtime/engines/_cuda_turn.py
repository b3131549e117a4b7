"""Who may call CUDA while a graph is being captured.

ONNX Runtime captures in CUDA's global mode, in which calls of other threads that allocate or wait
(those of a hardware decoder or encoder) fail, and spoil the capture. So they take turns. A capture
happens once for each size of picture; a free lock costs a fraction of a microsecond.
"""

from threading import RLock

CUDA_TURN = RLock()
