"""The system calls that no program in a sandbox needs, as a filter of the kernel (classic BPF, for bwrap's `--seccomp`).

Everything else is allowed; what is denied fails with EPERM. `clone3` fails with ENOSYS, so that the C library falls
back to `clone`, whose flags a filter can read. A call of another architecture (x32, i386) ends the process.
"""

from __future__ import annotations

import platform
import struct

_RETURN, _LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_ANY_BIT = 0x06, 0x20, 0x15, 0x35, 0x45
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
_NUMBER, _ARCHITECTURE, _FIRST, _SECOND = 0, 4, 16, 24
_NEW_USER_NAMESPACE, _INJECT_INPUT = 0x10000000, 0x5412
_X32 = 0x40000000

_DENIED_BY_BOTH = {
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "ptrace": (101, 117),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "kexec_load": (246, 104),
    "init_module": (175, 105), "delete_module": (176, 106), "finit_module": (313, 273),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "socket": (41, 198), "socketpair": (53, 199),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187),
    "swapon": (167, 224), "swapoff": (168, 225), "kexec_file_load": (320, 294), "semtimedop": (220, 192),
    "reboot": (169, 142), "acct": (163, 89), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "kcmp": (312, 272), "memfd_secret": (447, 447),
    "memfd_create": (319, 279),
}  # fmt: skip
"""Numbers on x86_64 and on aarch64 (asm/unistd_64.h, asm-generic/unistd.h of Linux)."""

_CLONE, _CLONE3, _IOCTL = (56, 220), (435, 435), (16, 29)
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def seccomp_filter(machine: str = platform.machine()) -> bytes | None:
    """The program for a machine, 8 bytes an instruction; None for an architecture whose numbers are not known here."""
    if machine not in _AUDIT:
        return None
    which = list(_AUDIT).index(machine)
    code = [
        _one(_LOAD, _ARCHITECTURE),
        _one(_JUMP_EQUAL, _AUDIT[machine], 1, 0),
        _one(_RETURN, _KILL),
        _one(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        code += [_one(_JUMP_AT_LEAST, _X32, 0, 1), _one(_RETURN, _KILL)]
    for numbers in _DENIED_BY_BOTH.values():
        code += [_one(_JUMP_EQUAL, numbers[which], 0, 1), _one(_RETURN, _EPERM)]
    code += [_one(_JUMP_EQUAL, _CLONE3[which], 0, 1), _one(_RETURN, _ENOSYS)]
    code += [_one(_JUMP_EQUAL, _CLONE[which], 0, 4), _one(_LOAD, _FIRST)]
    code += [_one(_JUMP_ANY_BIT, _NEW_USER_NAMESPACE, 0, 1), _one(_RETURN, _EPERM), _one(_RETURN, _ALLOW)]
    code += [_one(_JUMP_EQUAL, _IOCTL[which], 0, 3), _one(_LOAD, _SECOND)]
    code += [_one(_JUMP_EQUAL, _INJECT_INPUT, 0, 1), _one(_RETURN, _EPERM), _one(_RETURN, _ALLOW)]
    return b"".join(code)


def profile() -> dict[str, object]:
    """The same refusals by the words of the OCI runtime specification, for containers; and no changes of priority."""
    refused: dict[str, object] = {"action": "SCMP_ACT_ERRNO", "errnoRet": 1}
    new_user = {
        "index": 0,
        "value": _NEW_USER_NAMESPACE,
        "valueTwo": _NEW_USER_NAMESPACE,
        "op": "SCMP_CMP_MASKED_EQ",
    }
    inject = {"index": 1, "value": _INJECT_INPUT, "op": "SCMP_CMP_EQ"}
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [
            {"names": [*_DENIED_BY_BOTH, "setpriority"], **refused},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            {"names": ["clone"], "args": [new_user], **refused},
            {"names": ["ioctl"], "args": [inject], **refused},
        ],
    }  # fmt: skip


def _one(operation: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", operation, if_true, if_false, value)
