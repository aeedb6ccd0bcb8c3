"""Hostile programs that attack the one who asks: exits, forged and garbled answers, odd values."""

from __future__ import annotations

from collections.abc import Mapping

from bench.code.hostile import Hostile, at_most, equals

_EXIT = ("no_result",)
_UNPLAIN = ("unsupported",)
_BROKEN = ("no_result", "output_limit", "timeout", "answered", "error", "unsupported")

ANSWERS: Mapping[str, Hostile] = {
    "sys.exit(0) at import": Hostile("import sys\nsys.exit(0)", _EXIT),
    "os._exit(0) at import": Hostile("import os\nos._exit(0)", _EXIT),
    "int that equals all": Hostile("class I(int):\n    __eq__ = lambda s, o: True\ndef attack(): return I(1)", _UNPLAIN),
    "frame walk": Hostile("import sys\ndef attack():\n    found, frame = [], sys._getframe()\n    while frame:\n"
                          "        found += [n for n in frame.f_locals if n in ('expected', 'tests', 'check')]\n        frame = frame.f_back\n"
                          "    return found", holds=equals([])),
    "gc.get_objects() search": Hostile("import gc\ndef attack():\n    return len([o for o in gc.get_objects() if type(o) is dict and 'expected value' in o])",
                                       holds=at_most(0)),
    "patched json.dumps": Hostile("import json\njson.dumps = lambda *a, **k: 'forged'\ndef attack(): return 'own'", holds=equals("own")),
    "patched isinstance and len": Hostile("import builtins\nbuiltins.isinstance = lambda *a: True\nbuiltins.len = lambda x: 1\n"
                                          "def attack(): return [1, 2]", _BROKEN),
    "poisoned sys.modules": Hostile("import sys\nfor name in list(sys.modules):\n    if name not in ('sys',): sys.modules[name] = None\n"
                                    "def attack(): return 1", holds=equals(1)),
    "ctypes.string_at(0)": Hostile("import ctypes\ndef attack(): return ctypes.string_at(0)", ("crashed",)),
    "10**100000": Hostile("def attack(): return 10**100000", holds=equals(10**100000)),
    "NaN": Hostile("def attack(): return float('nan')", holds=lambda answer: answer != answer),  # noqa: PLR0124 - NaN's rule
    "-0.0": Hostile("def attack(): return -0.0", holds=lambda answer: str(answer) == "-0.0"),
    "generator": Hostile("def attack(): return (x for x in [1])", _UNPLAIN),
    "lambda": Hostile("def attack(): return lambda: 1", _UNPLAIN),
    "recursive list": Hostile("def attack():\n    a = []\n    a.append(a)\n    return a", _UNPLAIN),
    "closes fd 1 and 2": Hostile("import os\ndef attack():\n    os.close(1); os.close(2)\n    return 5", holds=equals(5)),
    "closes every fd": Hostile("import os\ndef attack():\n    os.closerange(0, 64)\n    return 5", ("no_result", "timeout")),
    "partial UTF-8": Hostile("import os\ndef attack():\n    os.write(1, b'\\xe2\\x82'); os.write(2, b'\\xff\\xfe')\n    return '\\udce2'",
                             holds=equals("\udce2")),
    "reads later requests": Hostile("import os\ndef attack():\n    for n in range(64):\n        try:\n            os.set_blocking(n, False)\n"
                                    "            os.read(n, 10**6)\n        except OSError: pass\n    return 1", _BROKEN),
    "garbled frames": Hostile("import os\ndef attack():\n    for n in range(3, 64):\n        try: os.write(n, b'\\0\\0\\0\\5V' + b'l' * 4)\n"
                              "        except OSError: pass\n    return 1", _BROKEN),
    "frame of 4 GB": Hostile("import os\ndef attack():\n    for n in range(3, 64):\n        try: os.write(n, b'\\xff' * 8)\n"
                             "        except OSError: pass\n    return 1", ("output_limit",)),
    "atexit, __del__ and alarm after the answer": Hostile(
        "import atexit, signal, os\natexit.register(lambda: os.write(3, b'late'))\nclass D:\n    def __del__(s): os.write(3, b'late')\nd = D()\n"
        "def attack():\n    signal.alarm(1)\n    return 1", holds=equals(1)),
    "ANSI escapes": Hostile("def attack():\n    print('\\x1b]0;title\\x07')\n    raise ValueError('\\x1b]0;title\\x07\\u202e')", ("error",)),
    "file names with newlines": Hostile("import os\ndef attack():\n    open('a\\nb', 'w').close()\n    return os.listdir()", holds=equals(["a\nb"])),
    "raises with a hostile message": Hostile("class E(Exception):\n    def __str__(s): raise E\ndef attack(): raise E", ("error",)),
}  # fmt: skip
"""What attacks the one who asks."""
