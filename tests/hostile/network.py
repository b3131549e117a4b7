"""A network of its own for a process, in which the system counts every attempt to reach anything.

FFmpeg's sockets are none of Python's: no hook of ours sees them. In a network namespace of Linux
every address leads to a loopback that nobody listens at, and the kernel counts connections that are
begun and datagrams that are sent there, whoever does it.
"""

import ctypes
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SIOCSIFFLAGS, SIOCADDRT = 0x8914, 0x890B
IFF_UP = RTF_UP = 1
# (protocol, counter) in /proc/net/snmp of what a process begins by itself.
COUNTED = (("Tcp", "ActiveOpens"), ("Udp", "OutDatagrams"))


def isolate() -> str:
    """Leave the network for one that is empty.

    Returns:
        "" if that is so now, or why it is not.
    """
    if not sys.platform.startswith("linux"):
        return "only Linux has network namespaces"
    user, group = os.getuid(), os.getgid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET):  # not root, or a container that keeps this right to itself
        if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET):
            return f"the system gives no network namespace: {os.strerror(ctypes.get_errno())}"
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    try:
        _lead_everywhere()
    except OSError as error:
        return f"the loopback cannot be set up: {error.strerror}"
    return ""


def refusal() -> str:
    """Why a process of this system cannot have one, "" if it can."""
    words = [sys.executable, __file__]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def attempts() -> int:
    """Connections begun and datagrams sent in this namespace, so far."""
    lines = Path("/proc/self/net/snmp").read_text().splitlines()
    found = 0
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        protocol, *keys = names.split()
        table = dict(zip(keys, values.split()[1:], strict=True))
        found += sum(int(table[key]) for kind, key in COUNTED if protocol == f"{kind}:")
    version6 = Path("/proc/self/net/snmp6")
    if version6.exists():
        rows = (line.split() for line in version6.read_text().splitlines())
        found += sum(int(value) for name, value in rows if name == "Udp6OutDatagrams")
    return found


def _lead_everywhere() -> None:
    """The loopback is up, and the way to all addresses: an attempt fails, but it is made."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug:
        _ioctl(plug, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP))
        device = ctypes.create_string_buffer(b"lo")
        anywhere = struct.pack("=H14x", socket.AF_INET)  # 0.0.0.0, with the mask 0.0.0.0
        place = ctypes.addressof(device)
        parts = (0, anywhere, anywhere, anywhere, RTF_UP, 0, 0, 0, 0, place, 0, 0, 0)
        _ioctl(plug, SIOCADDRT, struct.pack("@L16s16s16sHhLPhPLLH", *parts))  # struct rtentry


def _ioctl(plug: socket.socket, request: int, argument: bytes) -> None:
    import fcntl

    fcntl.ioctl(plug, request, argument)


if __name__ == "__main__":
    print(isolate())
