# SPDX-License-Identifier: Apache-2.0
"""The filter of system calls that holds in every sandbox, as a program for the kernel.

libseccomp, which Debian installs with its base system, assembles it; bubblewrap loads it before the
first program within starts, so the server, the referee and every candidate run under it and no run
pays for it. It refuses what code under judgement has no use for and kernels have had holes in. A
list of what is refused, not of what is allowed: candidates are honest programs most of the time,
and what the list misses still meets namespaces, an unprivileged uid and no capability. Programs may
be started, since bubblewrap itself has to; see ``inside.guard`` for Python candidates. Without
libseccomp there is no filter; ``codetemper doctor`` says so.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import errno
import functools
import os
from typing import Any

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_OPTIMIZE = 8
_UNEQUAL, _EQUAL, _GREATER, _MASKED = 1, 4, 6, 7

_NAMES = (
    # other processes
    "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise process_mrelease "
    "move_pages migrate_pages "
    # the kernel's newer and larger doors
    "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register memfd_secret "
    "fanotify_init fanotify_mark lookup_dcookie name_to_handle_at open_by_handle_at "
    # keys outlive a run
    "keyctl add_key request_key "
    # mounts and namespaces
    "mount umount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree "
    "mount_setattr unshare setns "
    # what System V and POSIX keep under a name outlives a run
    "shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl "
    "mq_open mq_unlink mq_notify mq_timedsend mq_timedreceive mq_getsetattr "
    # the machine
    "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct "
    "quotactl quotactl_fd syslog settimeofday clock_settime adjtimex clock_adjtime sethostname "
    "setdomainname iopl ioperm modify_ldt uselib ustat sysfs vhangup nfsservctl vm86 vm86old "
    "mbind set_mempolicy get_mempolicy set_mempolicy_home_node"
)
#: Refused altogether.
REFUSED = tuple(_NAMES.split())
_NEW_NAMESPACES = 0x7E020000
_SET_ID_BITS = 0o6000
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_RAW, _KIND_OF_SOCKET = 3, 0xF
_AF_INET6 = 10
_ORDINARY = frozenset({1, 2, _AF_INET6})  # Unix, IPv4, IPv6: there is no network to reach


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    ]


def _library() -> Any:
    """Load libseccomp, or return None where it is not installed."""
    # To look for a library starts a program, so that is left for where the usual name is none.
    for find in (lambda: "libseccomp.so.2", lambda: ctypes.util.find_library("seccomp")):
        try:
            name = find()
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            library.seccomp_init.restype = ctypes.c_void_p
            library.seccomp_init.argtypes = [ctypes.c_uint32]
            library.seccomp_rule_add_array.argtypes = [
                ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint,
                ctypes.POINTER(_Comparison),
            ]  # fmt: skip
            library.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
            library.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
            library.seccomp_release.argtypes = [ctypes.c_void_p]
            return library
    return None


class _Filter:
    """Rules on their way to a program."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.context = library.seccomp_init(_ALLOW)
        if not self.context:
            raise OSError("libseccomp has no memory")
        # A tree instead of a list, where the library can (2.5): every call passes the filter.
        library.seccomp_attr_set(self.context, _OPTIMIZE, 2)

    def refuse(self, name: str, *when: tuple[int, int, int, int], error: int = errno.EPERM) -> None:
        """Refuse a call, or only one whose arguments compare so; unknown names are left out."""
        number = self.library.seccomp_syscall_resolve_name(name.encode("ascii"))
        if number < 0:  # this library or this machine has no such call
            return
        comparisons = (_Comparison * len(when))(*(_Comparison(*one) for one in when))
        said = self.library.seccomp_rule_add_array(
            self.context, _ERRNO | error, number, len(when), comparisons
        )
        if said != 0:
            raise OSError(-said, f"libseccomp refuses the rule on {name}")

    def program(self) -> bytes:
        """Return the filter as the kernel takes it."""
        descriptor = os.memfd_create("filter")
        try:
            said = self.library.seccomp_export_bpf(self.context, descriptor)
            if said != 0:
                raise OSError(-said, "libseccomp exports nothing")
            size = os.lseek(descriptor, 0, os.SEEK_END)
            return os.pread(descriptor, size, 0)
        finally:
            os.close(descriptor)
            self.library.seccomp_release(self.context)


@functools.cache
def program() -> bytes | None:
    """Return the filter for the kernel, or None where libseccomp cannot make it."""
    library = _library()
    if library is None:
        return None
    try:
        rules = _Filter(library)
        for name in REFUSED:
            rules.refuse(name)
        _refuse_by_arguments(rules)
        return rules.program()
    except OSError:
        return None


def _refuse_by_arguments(rules: _Filter) -> None:
    bits = [1 << bit for bit in range(32)]
    for flag in bits:
        if flag & _NEW_NAMESPACES:
            rules.refuse("clone", (0, _MASKED, flag, flag))
        if flag & _SET_ID_BITS:
            for name, argument in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("fchmodat2", 2)):
                rules.refuse(name, (argument, _MASKED, flag, flag))
    # Its flags lie in memory, out of a filter's sight; libraries fall back to ``clone``.
    rules.refuse("clone3", error=errno.ENOSYS)
    for name in ("socket", "socketpair"):
        rules.refuse(name, (0, _GREATER, _AF_INET6, 0), error=errno.EAFNOSUPPORT)
        for family in range(_AF_INET6):
            if family not in _ORDINARY:
                rules.refuse(name, (0, _EQUAL, family, 0), error=errno.EAFNOSUPPORT)
        rules.refuse(name, (1, _MASKED, _KIND_OF_SOCKET, _RAW))
    # Limits and turns of other processes: a caller without rights shares its uid with the server.
    for name, argument in (("prlimit64", 0), ("setpriority", 1), ("sched_setaffinity", 0),
                           ("sched_setscheduler", 0), ("sched_setparam", 0), ("sched_setattr", 0),
                           ("ioprio_set", 1)):  # fmt: skip
        rules.refuse(name, (argument, _UNEQUAL, 0, 0))
    for request in (_TIOCSTI, _TIOCLINUX):
        rules.refuse("ioctl", (1, _MASKED, 0xFFFFFFFF, request))


def filter_available() -> tuple[bool, str]:
    """Tell whether sandboxes have a filter of system calls here, and of what size or why not."""
    made = program()
    if made is None:
        return False, "libseccomp (libseccomp2) is not installed"
    return True, f"{len(made) // 8} instructions"
