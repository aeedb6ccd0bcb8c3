"""The filter of system calls, run by an interpreter of classic BPF written from its definition."""

import struct

import pytest

from adaptive_middleware.verify.sandbox.seccomp import profile, seccomp_filter

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def verdict(
    machine: str, number: int, first: int = 0, second: int = 0, architecture: int | None = None
) -> int:
    """What the kernel does with a call: `struct seccomp_data` is nr, arch, instruction pointer, six arguments."""
    kind = ARCHITECTURE[machine] if architecture is None else architecture
    data = struct.pack("=iIQQQ", number, kind, 0, first, second)
    code = list(struct.iter_unpack("=HBBI", seccomp_filter(machine) or b""))
    value, at = 0, 0
    while True:
        operation, yes, no, k = code[at]
        at += 1
        if operation == 0x06:
            return int(k)
        if operation == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        else:
            holds = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[operation]
            at += yes if holds else no


@pytest.mark.parametrize(
    ("machine", "denied", "allowed"),
    [
        ("x86_64", (101, 310, 272, 321, 425, 41, 53, 165, 319), (0, 1, 9, 57, 59, 60, 231)),
        ("aarch64", (117, 270, 97, 280, 425, 198, 199, 40, 279), (63, 64, 222, 221, 93, 94)),
    ],
)
def test_dangerous_calls_fail_and_ordinary_ones_do_not(
    machine: str, denied: tuple[int, ...], allowed: tuple[int, ...]
) -> None:
    assert {verdict(machine, number) for number in denied} == {EPERM}
    assert {verdict(machine, number) for number in allowed} == {ALLOW}


@pytest.mark.parametrize(("machine", "clone", "ioctl"), [("x86_64", 56, 16), ("aarch64", 220, 29)])
def test_processes_may_be_made_but_no_user_namespaces_and_no_typed_input(
    machine: str, clone: int, ioctl: int
) -> None:
    assert verdict(machine, clone, first=0x11) == ALLOW
    assert verdict(machine, clone, first=0x11 | 0x10000000) == EPERM
    assert verdict(machine, ioctl, second=0x5401) == ALLOW
    assert verdict(machine, ioctl, second=0x5412) == EPERM
    assert verdict(machine, 435) == ENOSYS


def test_calls_of_another_architecture_end_the_process() -> None:
    assert verdict("x86_64", 0, architecture=0x40000003) == KILL
    assert verdict("x86_64", 0x40000000) == KILL


def test_an_unknown_architecture_has_no_filter() -> None:
    assert seccomp_filter("mips") is None


def test_containers_are_told_the_same_by_name() -> None:
    told = profile()
    calls = told["syscalls"]
    assert isinstance(calls, list)
    refused, clone3, clone, ioctl = calls
    assert told["defaultAction"] == "SCMP_ACT_ALLOW"
    assert {
        "ptrace",
        "mount",
        "unshare",
        "bpf",
        "socket",
        "io_uring_setup",
        "memfd_create",
        "setpriority",
    } <= set(refused["names"])
    assert (refused["errnoRet"], clone3["errnoRet"]) == (1, 38)
    assert clone["args"] == [{"index": 0, "value": 2**28, "valueTwo": 2**28, "op": "SCMP_CMP_MASKED_EQ"}]
    assert ioctl["args"] == [{"index": 1, "value": 0x5412, "op": "SCMP_CMP_EQ"}]
