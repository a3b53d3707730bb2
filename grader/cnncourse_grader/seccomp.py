"""A filter against system calls that no notebook needs, for bubblewrap's ``--seccomp``.

libseccomp knows their numbers on each kind of processor; it is on nearly every Linux, as systemd
and apt need it. A call that is not listed here is allowed: the list is of what reaches other
processes, the kernel's own tables, or memory that nobody counts.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import socket
import tempfile
from pathlib import Path

DENIED = (
    # keys, which cross from one sandbox into the next
    *("add_key", "keyctl", "request_key"),
    # parts of the kernel with a long list of holes
    *("bpf", "perf_event_open", "userfaultfd", "fanotify_init", "lookup_dcookie"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    # other file systems and namespaces
    *("mount", "umount", "umount2", "pivot_root", "chroot", "open_tree", "move_mount", "fsopen"),
    *("fsconfig", "fsmount", "fspick", "mount_setattr", "name_to_handle_at", "open_by_handle_at"),
    *("unshare", "setns"),
    # other processes
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    # the computer
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot"),
    *("acct", "quotactl", "quotactl_fd", "swapon", "swapoff", "syslog", "iopl", "ioperm"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "modify_ldt", "vhangup"),
    # memory that belongs to no process
    *("memfd_create", "memfd_secret", "shmget", "msgget"),
)
# A C library asks for clone3 first, whose flags no filter can read, and takes clone when there is
# no such call.
NOT_THERE = ("clone3",)
NEW_NAMESPACES = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
ALLOW, ERROR, GREATER, MASKED = 0x7FFF0000, 0x00050000, 6, 7
UNKNOWN = -1


class _Comparison(ctypes.Structure):
    """Of one argument of a call, as libseccomp declares it."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


@functools.cache
def program() -> bytes:
    """Compile the filter for this computer.

    Returns
    -------
    bytes
        What ``--seccomp`` reads; empty where the kernel or libseccomp is missing.
    """
    if not Path("/proc/sys/kernel/seccomp/actions_avail").exists():
        return b""
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return b""
    library.seccomp_init.restype = ctypes.c_void_p
    rules = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))
    _add_rules(library, rules)
    with tempfile.TemporaryFile() as file:
        library.seccomp_export_bpf(rules, file.fileno())
        library.seccomp_release(rules)
        file.seek(0)
        return file.read()


def _add_rules(library: ctypes.CDLL, rules: ctypes.c_void_p) -> None:
    for name in DENIED:
        _deny(library, rules, name, errno.EPERM)
    for name in NOT_THERE:
        _deny(library, rules, name, errno.ENOSYS)
    for flag in NEW_NAMESPACES:
        _deny(library, rules, "clone", errno.EPERM, _Comparison(0, MASKED, flag, flag))
    # What is left beyond IPv6 is not part of a network namespace, or has holes of its own.
    families = _Comparison(0, GREATER, socket.AF_INET6)
    _deny(library, rules, "socket", errno.EAFNOSUPPORT, families)


def _deny(
    library: ctypes.CDLL, rules: ctypes.c_void_p, name: str, code: int, *where: _Comparison
) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == UNKNOWN:
        return
    compared = (_Comparison * len(where))(*where)
    failed = library.seccomp_rule_add_array(
        rules, ctypes.c_uint32(ERROR | code), number, len(where), compared
    )
    if failed:
        raise OSError(-failed, f"libseccomp refuses a rule for {name}")
