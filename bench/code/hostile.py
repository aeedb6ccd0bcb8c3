"""Hostile programs: each defines `attack`, which tries to get out or to use up the machine, and says how far it came."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Holds: TypeAlias = Callable[[object], bool]
"""What `attack` answered -> whether that shows that it was contained."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """A program, the verdicts that it may have, and what its answer must be like where it has one."""

    code: str
    verdicts: tuple[str, ...] = ("answered",)
    holds: Holds = lambda _: True


REFUSED = (errno.EPERM, errno.EACCES, errno.ENOENT, errno.EROFS, errno.ENOSYS, errno.ESRCH, errno.EINVAL, errno.ENOSPC,
                     errno.ECONNREFUSED, errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.EFBIG, errno.EAGAIN, errno.ENXIO, errno.ENOTTY,
                     errno.ENODEV, errno.EBADF)  # fmt: skip
_TRIED = """
import os, errno
def tried(what, *arguments):
    try:
        return ["done", str(what(*arguments))[:80]]
    except OSError as error:
        return error.errno
"""
_CALL = (
    _TRIED
    + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    return 0 if libc.syscall(number, *arguments) >= 0 else ctypes.get_errno()
"""
)


def refused(answer: object) -> bool:
    """All that was tried was refused."""
    return bool(answer) and all(one in REFUSED for one in (answer if isinstance(answer, list) else [answer]))


def at_most(most: int) -> Holds:
    """The answer is a number that is not larger."""
    return lambda answer: isinstance(answer, int) and answer <= most


def equals(value: object) -> Holds:
    """The answer is that."""
    return lambda answer: answer == value


_TIME = ("timeout",)

LIMITS: Mapping[str, Hostile] = {
    "fork bomb": Hostile("import os, time\ndef attack():\n    made = 0\n    for _ in range(400):\n        try: pid = os.fork()\n"
                         "        except OSError: break\n        if pid == 0: time.sleep(600)\n        made += 1\n    return made", ("answered", "crashed"), at_most(32)),
    "300 threads": Hostile("import threading, time\ndef attack():\n    made = 0\n    for _ in range(300):\n"
                           "        try: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
                           "        except RuntimeError: break\n        made += 1\n    return made", holds=at_most(32)),
    "memory 2 GB": Hostile("def attack(): return len(bytearray(2 * 10**9))", ("memory",)),
    "5 processes x 150 MB": Hostile("import os, time\ndef attack():\n    for _ in range(5):\n        if os.fork() == 0:\n"
                                    "            kept = b'x' * 150_000_000\n            time.sleep(600)\n    time.sleep(600)", ("memory",)),
    "600 MB in files without a name": Hostile(
        _TRIED + "import time\ndef attack():\n    def fill(kept=[]):\n        for _ in range(40):\n            kept.append(os.memfd_create('m'))\n"
        "            os.write(kept[-1], b'x' * 15_000_000)\n        time.sleep(1)\n    return tried(fill)", ("answered", "memory"), refused),
    "endless loop": Hostile("def attack():\n    while True: pass", _TIME),
    "sleep 3600": Hostile("import time\ndef attack(): time.sleep(3600)", _TIME),
    "ignores SIGTERM, SIGXCPU": Hostile("import signal\ndef attack():\n    for n in (15, 24): signal.signal(n, signal.SIG_IGN)\n"
                                        "    while True: pass", _TIME),
    "SIGSTOP itself": Hostile("import os\ndef attack(): os.kill(os.getpid(), 19)", (*_TIME, "answered")),
    "regular expression": Hostile("import re\ndef attack(): return re.match('(a+)+$', 'a' * 60 + 'b')", _TIME),
    "unbounded recursion": Hostile("import sys\nsys.setrecursionlimit(10**9)\ndef attack(): return attack() + 1",
                                   ("timeout", "memory", "crashed", "error")),
    "fill the folder": Hostile(_TRIED + "def attack():\n    def fill():\n        with open('f', 'wb', 0) as f:\n"
                               "            for _ in range(400): f.write(b'x' * 10**6)\n    return [tried(fill), os.path.getsize('f') <= 17 * 2**20]",
                               holds=lambda a: isinstance(a, list) and a[1] is True and a[0] in REFUSED),
    "fill /dev/shm": Hostile(_TRIED + "def attack(): return tried(lambda: open('/dev/shm/x', 'wb').write(b'x' * 10**8))", holds=refused),
    "1.3 GB to stdout": Hostile("import sys\ndef attack():\n    for _ in range(1300): sys.stdout.write('x' * 10**6)", ("output_limit",)),
    "result of 50 MB": Hostile("def attack(): return 'x' * 50_000_000", ("output_limit",)),
    "result 200 k deep": Hostile("def attack():\n    deep = []\n    for _ in range(200_000): deep = [deep]\n    return deep",
                                 ("answered", "unsupported")),
    "zip bomb": Hostile("import zlib\ndef attack(): return len(zlib.decompress(zlib.compress(b'0' * 10**8) * 1)) and "
                        "len(b''.join(zlib.decompress(zlib.compress(b'0' * 10**8)) for _ in range(9)))", ("memory", "timeout")),
}  # fmt: skip
"""What uses up the machine."""

REACH: Mapping[str, Hostile] = {
    "connect to 127.0.0.1": Hostile(_TRIED + "import socket\ndef attack(): return tried(lambda: socket.create_connection(('127.0.0.1', PORT), 1))",
                                    holds=refused),
    "abstract unix socket": Hostile(_TRIED + "import socket\ndef attack():\n    return tried(lambda: socket.socket(1).connect('\\0NAME'))", holds=refused),
    "read /etc/passwd": Hostile(_TRIED + "def attack(): return tried(lambda: open('/etc/passwd').read())", holds=refused),
    "list the home of root": Hostile(_TRIED + "def attack(): return [tried(os.listdir, '/root'), tried(os.listdir, '/home')]", holds=refused),
    "secret in environments": Hostile("import glob, os\ndef attack():\n    found = 'SECRET' in str(os.environ)\n"
                                      "    for name in glob.glob('/proc/*/environ'):\n        try: found |= b'SECRET' in open(name, 'rb').read()\n"
                                      "        except OSError: pass\n    return found", holds=equals(value=False)),
    "list processes": Hostile("import os\ndef attack(): return len([n for n in os.listdir('/proc') if n.isdigit()])",
                              ("answered", "error"), at_most(3)),
    "write /usr and temporary files": Hostile(_TRIED + "def attack(): return [tried(open, p, 'w') for p in ('/usr/x', '/tmp/x', '/x', '/dev/x')]",
                                              holds=refused),
    "signal the parent": Hostile(_TRIED + "def attack(): return [tried(os.kill, pid, 0) for pid in (PID, os.getppid()) if pid > 1] or [1]",
                                 holds=lambda a: isinstance(a, list) and a[0] in REFUSED),
    "kill pid 1": Hostile("import os\ndef attack():\n    os.kill(1, 9)\n    return 'alive'", ("answered", "no_result", "crashed", "error")),
    "ptrace the parent": Hostile(_CALL + "def attack(): return call(101, 16, os.getppid(), 0, 0)", holds=refused),
    "new user namespace": Hostile(_CALL + "def attack(): return [call(272, 0x10000000), call(56, 0x10000011, 0, 0, 0, 0)]", holds=refused),
    "io_uring": Hostile(_CALL + "def attack(): return call(425, 8, ctypes.create_string_buffer(256))", holds=refused),
    "devices": Hostile("import os\ndef attack(): return [n for n in os.listdir('/dev') if n.startswith(('nvidia', 'kvm', 'vd', 'sd', 'mem'))]",
                       ("answered", "error"), equals([])),
    "typed input (TIOCSTI)": Hostile(_TRIED + "import fcntl\ndef attack(): return [tried(fcntl.ioctl, n, 0x5412, b'x') for n in range(6)]", holds=refused),
    "nice -20": Hostile(_TRIED + "def attack(): return tried(os.nice, -20)", holds=refused),
    "LD_PRELOAD": Hostile("import os, subprocess\ndef attack():\n    open('l.so', 'w').write('no')\n    os.environ['LD_PRELOAD'] = './l.so'\n"
                          "    return subprocess.run(['/usr/bin/id', '-u'], capture_output=True).stdout.decode().strip() != '0'", holds=equals(value=True)),
    "set user 0": Hostile(_TRIED + "def attack(): return [tried(os.setuid, 0), tried(os.setgid, 0)]", holds=refused),
    "mount": Hostile(_CALL + "def attack(): return call(165, b'none', b'/box', b'tmpfs', 0, 0)", holds=refused),
    "daemon": Hostile("import os\ndef attack():\n    if os.fork() == 0:\n        os.setsid()\n        if os.fork() == 0:\n"
                      "            os.closerange(0, 64)\n            os.execv('/usr/bin/sleep', ['TOKEN', '600'])\n        os._exit(0)\n    return 'begun'"),
    "symlink to /etc/shadow": Hostile(_TRIED + "def attack():\n    os.symlink('/etc/shadow', 'result.json')\n"
                                      "    return tried(lambda: open('result.json').read())", holds=refused),
}  # fmt: skip
"""What reaches out of the sandbox."""
