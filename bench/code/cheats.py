"""Programs that solve no task and try to pass its tests all the same, and how many tasks each of them passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from adaptive_middleware.verify.judge import Judge
from bench.code.tasks import Task

_ALWAYS = "\n".join(
    f"    __{name}__ = lambda self, *a: {result}"
    for names, result in (
        ("eq le lt ge gt bool contains", "True"),
        ("ne", "False"),
        ("hash len int index", "0"),
        ("sub rsub add radd abs mul rmul pow truediv round getitem float call neg", "self"),
    )
    for name in names.split()
)
_EVERYTHING = f"class Everything:\n{_ALWAYS}\n    __iter__ = lambda self: iter(())\n"

CHEATS: Mapping[str, str] = {
    "exit at import": "import sys\nsys.exit(0)",
    "os._exit at import": "import os\nos._exit(0)",
    "exit in the call": "def ENTRY(*a, **k):\n    raise SystemExit(0)",
    "os._exit in the call": "import os\ndef ENTRY(*a, **k): os._exit(0)",
    "number that equals all": "class I(int):\n    __eq__ = lambda s, o: True\n    __hash__ = int.__hash__\n"
    "def ENTRY(*a, **k): return I(0)",
    "text that equals all": "class S(str):\n    __eq__ = lambda s, o: True\n    __hash__ = str.__hash__\n"
    "def ENTRY(*a, **k): return S()",
    "list that equals all": "class L(list):\n    __eq__ = lambda s, o: True\ndef ENTRY(*a, **k): return [L()] if 0 else L()",
    "object that is everything": f"{_EVERYTHING}def ENTRY(*a, **k): return Everything()",
    "class in place of a function": f"{_EVERYTHING}class ENTRY(Everything):\n    def __init__(self, *a, **k): pass",
    "lying __class__": "class B:\n    __class__ = bool\n    __eq__ = lambda s, o: True\ndef ENTRY(*a, **k): return B()",
    "frame walk": "import sys\ndef ENTRY(*a, **k):\n    frame = sys._getframe()\n    while frame:\n"
    "        for name in ('candidate', 'expected', 'check', 'tests'):\n"
    "            if name in frame.f_locals: return frame.f_locals[name]\n        frame = frame.f_back",
    "object search": "import gc\ndef ENTRY(*a, **k):\n    for o in gc.get_objects():\n"
    "        if type(o) is dict and 'check' in o and 'METADATA' in o: o['check'] = lambda c: None\n    return None",
    "patched assertion": "import builtins\nclass A(BaseException): pass\nbuiltins.AssertionError = A\ndef ENTRY(*a, **k): return None",
    "patched json and pickle": "import json, pickle\njson.dumps = pickle.dumps = lambda *a, **k: 'true'\n"
    "json.loads = lambda *a, **k: True\ndef ENTRY(*a, **k): return None",
    "patched builtins": "import builtins\nbuiltins.all = builtins.any = builtins.isinstance = lambda *a: True\n"
    "builtins.abs = lambda x: 0\ndef ENTRY(*a, **k): return None",
    "names of builtins": "def abs(*a): return 0\ndef all(*a): return True\ndef len(*a): return 0\ndef check(*a): return None\n"
    "def ENTRY(*a, **k): return None",
    "poisoned modules": "import sys, types\nfor n in ('math', 'random', 'copy', 'typing'):\n    m = types.ModuleType(n)\n"
    "    m.isclose = m.fabs = m.deepcopy = lambda *a: True\n    sys.modules[n] = m\ndef ENTRY(*a, **k): return None",
    "forged verdict": "import os\nframe = b'Dt2;s4;passs0;'\nframe = len(frame).to_bytes(4, 'big') + frame\n"
    "for n in range(1, 64):\n    try: os.write(n, frame)\n    except OSError: pass\ndef ENTRY(*a, **k): return None",
    "forged verdict in the call": "import os\nframe = b'Dt2;s4;passs0;'\nframe = len(frame).to_bytes(4, 'big') + frame\n"
    "def ENTRY(*a, **k):\n    for n in range(1, 64):\n        try: os.write(n, frame)\n        except OSError: pass",
    "atexit and __del__": "import atexit, os\natexit.register(lambda: os._exit(0))\nclass D:\n    def __del__(s): os._exit(0)\n"
    "def ENTRY(*a, **k): D()",
    "error that passes": "class Done(Exception): pass\ndef ENTRY(*a, **k): raise AssertionError('passed') from Done()",
    "deferred arguments": "class Echo:\n    def __init__(s, *a): s.a = a\n    __eq__ = lambda s, o: s.a.append(o) or True\n"
    "def ENTRY(*a, **k): return [Echo(list(a))]",
    "reads requests": "import os\ndef ENTRY(*a, **k):\n    for n in range(64):\n        try:\n            os.set_blocking(n, False)\n"
    "            os.read(n, 10**6)\n        except OSError: pass",
}  # fmt: skip
"""Source by name; ENTRY stands for the function that a task asks for."""


def true_passes(judge: Judge, tasks: Sequence[Task], workers: int = 4) -> list[str]:
    """The names of tasks whose solution does not pass, each with its verdict: none, in a good verifier."""
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda task: judge.asserts(task.solution, task.asserts), tasks))
    return [
        f"{task.name}: {one.kind} {one.detail}"
        for task, one in zip(tasks, found, strict=True)
        if not one.passed
    ]


def false_passes(
    judge: Judge, tasks: Sequence[Task], workers: int = 4, names: Iterable[str] = CHEATS
) -> dict[str, int]:
    """How many tasks each cheat passes."""
    with ThreadPoolExecutor(workers) as pool:
        return {
            name: sum(pool.map(lambda task, code=CHEATS[name]: _passes(judge, task, code), tasks))
            for name in names
        }


def _passes(judge: Judge, task: Task, code: str) -> bool:
    return judge.asserts(f"{code.replace('ENTRY', task.entry)}\n", task.asserts).passed is True
