import json
import platform
import subprocess
import sys

import pytest

CODE = """
import json, resource
import numpy as np
from runtime.frame import keep_pictures

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(40):
        picture = np.empty((720, 1280, 3), np.uint8)
        picture[:] = 1
        del picture
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_pictures()
faults()
print(json.dumps(faults()))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries, other rules")
def test_a_freed_picture_is_used_again():
    """Once it is there, 40 times the same picture; each new one would be 675 page faults."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) < 700
