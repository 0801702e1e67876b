# SPDX-License-Identifier: Apache-2.0
"""Attacks on the limits of the sandbox: time, memory, space, processes, and the worker's life.

An attack is a body that defines ``attack()``; it returns what it achieved, or nothing where it was
contained. ``program`` makes the whole program, whose variable ``found`` tells. ``intrusions`` holds
the attacks on files, the kernel, the network and the next candidate.
"""

from __future__ import annotations

from dataclasses import dataclass

_BEFORE = """\
import ctypes, errno, mmap, os, platform, resource, signal, socket, stat, struct, sys, threading
import time
libc = ctypes.CDLL(None, use_errno=True)


def asked(result):
    if result == -1:
        raise OSError(ctypes.get_errno(), 'refused')
    return result


def tried(*calls):
    done = []
    for name, call in calls:
        try:
            call()
        except OSError:
            continue
        done.append(name)
    return ', '.join(done)


"""
_AFTER = """

try:
    found = attack() or 'contained'
except (OSError, MemoryError, RuntimeError, OverflowError, EOFError):
    found = 'contained'
except Exception as error:
    found = f'broken attack: {error!r}'
"""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: what it does, in a few words joined by underscores.
        body: defines ``attack()``. ``@PORT@``, ``@SECRET@`` and ``@VICTIM@`` stand for a port the
            host listens on, a file of the host, and a folder of the host; ``@MEMORY@`` for the
            MiB that a run may use.
        watched: whether no kernel limit contains it but a watcher, which needs a processor.
    """

    name: str
    body: str
    watched: bool = False

    def program(self, **places: str) -> str:
        """Return the whole program, with the places of the host filled in."""
        body = self.body
        for name, value in places.items():
            body = body.replace(f"@{name.upper()}@", value)
        return _BEFORE + body + _AFTER


#: These end by the clock only.
TIME = (
    Attack("endless_loop", """\
def attack():
    while True:
        pass
"""),
    Attack("ignores_every_signal", """\
def attack():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True:
        pass
"""),
    Attack("sleeps_in_many_children", """\
def attack():
    for _ in range(8):
        if os.fork() == 0:
            while True:
                time.sleep(60)
    os.wait()
"""),
    Attack("stops_itself", """\
def attack():
    os.kill(os.getpid(), signal.SIGSTOP)
"""),
    Attack("holds_the_processors", """\
def attack():
    os.sched_setaffinity(0, range(os.cpu_count()))
    for _ in range(6):
        if os.fork() == 0:
            while True:
                pass
    while True:
        pass
"""),
    Attack("recursion_without_end", """\
def attack():
    sys.setrecursionlimit(10**9)
    threading.stack_size(1 << 20)
    def deeper():
        return deeper() + 1
    deeper()
    return 'survived'
"""),
    Attack("pattern_that_never_ends", """\
def attack():
    import re
    re.match('(a+)+$', 'a' * 60 + 'b')
"""),
)  # fmt: skip

_FLOODS = (
    Attack("floods_stdout", """\
def attack():
    while True:
        os.write(1, b'x' * 65536)
"""),
    Attack("floods_stderr", """\
def attack():
    while True:
        sys.stderr.write('x' * 65536)
"""),
    Attack("floods_all_descriptors", """\
def attack():
    while True:
        for descriptor in range(3, 64):
            try:
                os.write(descriptor, b'x' * 65536)
            except OSError:
                pass
"""),
    Attack("four_gigabytes", """\
def attack():
    block = bytearray(4 << 30)
    return f'took {len(block)} bytes'
"""),
    Attack("memory_of_many_processes", """\
def attack():
    # What is taken between two looks grows with the processors; the bound below is that of two.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    reading, writing = os.pipe()
    for _ in range(12):
        if os.fork() == 0:
            kept = []
            while True:
                try:
                    kept.append(b'1' * (1 << 20))
                except MemoryError:
                    time.sleep(60)
                os.write(writing, b'1')
    os.close(writing)
    taken = 0
    while block := os.read(reading, 65536):
        taken += len(block)
        if taken > 2 * @MEMORY@:
            return f'took {taken} MiB'
""", watched=True),
    Attack("memory_shared_by_processes", """\
def attack():
    held = []
    for number in range(40):
        held.append(os.memfd_create(str(number)))
        taken = 0
        while taken < 64 << 20:
            taken += os.write(held[-1], b'x' * (1 << 20))
    return f'took {len(held) * 64} MiB'
"""),
    Attack("one_gigabyte_file", """\
def attack():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open('big', 'wb') as stream:
        for _ in range(1024):
            stream.write(bytes(1 << 20))
            stream.flush()
    return 'wrote it'
"""),
    Attack("sparse_terabyte", """\
def attack():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open('big', 'wb') as stream:
        stream.truncate(1 << 40)
    return 'made it'
"""),
    Attack("fills_the_space", """\
def attack():
    for number in range(100_000):
        with open(f'full{number}', 'wb') as stream:
            stream.write(bytes(1 << 20))
    return 'endless space'
"""),
    Attack("flood_of_small_files", """\
def attack():
    for number in range(1_000_000):
        os.close(os.open(f'small{number}', os.O_CREAT | os.O_WRONLY))
    return 'a million files'
"""),
    Attack("flood_of_folders", """\
def attack():
    for number in range(1_000_000):
        os.mkdir(f'folder{number}', 0)
    return 'a million folders'
"""),
    Attack("fork_bomb", """\
def attack():
    reading, writing = os.pipe()
    for _ in range(10):
        os.fork()
        os.write(writing, b'1')
    if os.read(reading, 65536).count(b'1') > 500:
        return 'made hundreds'
    time.sleep(30)
"""),
    Attack("fork_bomb_that_goes_on", """\
def attack():
    while True:
        try:
            os.fork()
        except OSError:
            pass
"""),
    Attack("thread_bomb", """\
def attack():
    threading.stack_size(65536)
    for number in range(400):
        threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
    return '400 threads'
"""),
    Attack("processes_left_at_the_limit", """\
def attack():
    try:
        while True:
            if os.fork() == 0:
                os.setsid()
                time.sleep(60)
                os._exit(0)
    except OSError:
        return None
"""),
    Attack("pipes_full_of_memory", """\
def attack():
    import fcntl
    held = []
    while True:
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        fcntl.fcntl(writing, 1031, 1 << 20)
        held.append(os.write(writing, b'x' * (1 << 20)))
        if sum(held) > 512 << 20:
            return 'took 512 MiB'
"""),
)  # fmt: skip

_LIFE = (
    Attack("kills_everybody", """\
def attack():
    os.kill(-1, signal.SIGKILL)
"""),
    Attack("kills_the_parent", """\
def attack():
    tried(
        ('parent', lambda: os.kill(os.getppid(), signal.SIGKILL)),
        ('first', lambda: os.kill(1, signal.SIGKILL)),
        ('handle', lambda: signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL)),
        ('second', lambda: os.kill(2, signal.SIGKILL) if os.getpid() != 2 else os.kill(1, 9)),
    )
"""),
    Attack("kills_its_group", """\
def attack():
    os.killpg(0, signal.SIGKILL)
"""),
    Attack("stops_the_parent", """\
def attack():
    tried(
        ('parent', lambda: os.kill(os.getppid(), signal.SIGSTOP)),
        ('first', lambda: os.kill(1, signal.SIGSTOP)),
        ('terminal', lambda: os.kill(1, signal.SIGTSTP)),
        ('interrupt', lambda: os.kill(1, signal.SIGINT)),
    )
"""),
    Attack("slows_the_parent", """\
def attack():
    parent = os.getppid()
    return tried(
        ('nice', lambda: os.setpriority(os.PRIO_PROCESS, parent, 19)),
        ('affinity', lambda: os.sched_setaffinity(parent, {0})),
        ('idle', lambda: os.sched_setscheduler(parent, os.SCHED_IDLE, os.sched_param(0))),
        ('limits', lambda: resource.prlimit(parent, resource.RLIMIT_NOFILE, (3, 3))),
        ('memory', lambda: resource.prlimit(parent, resource.RLIMIT_AS, (1 << 20, 1 << 20))),
    )
"""),
    Attack("traces_the_parent", """\
def attack():
    parent = os.getppid()
    return tried(
        ('attach', lambda: asked(libc.ptrace(16, parent, 0, 0))),
        ('seize', lambda: asked(libc.ptrace(0x4206, parent, 0, 0))),
        ('first', lambda: asked(libc.ptrace(16, 1, 0, 0))),
    )
"""),
    Attack("reads_memory_of_the_parent", """\
def attack():
    space = ctypes.create_string_buffer(64)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(space), 64)
    theirs = (ctypes.c_size_t * 2)(id(sys.modules), 64)
    parent = os.getppid()
    return tried(
        ('read', lambda: asked(libc.process_vm_readv(parent, ours, 1, theirs, 1, 0))),
        ('write', lambda: asked(libc.process_vm_writev(parent, ours, 1, theirs, 1, 0))),
        ('mem', lambda: open(f'/proc/{parent}/mem', 'rb').close()),
        ('first', lambda: open('/proc/1/mem', 'rb').close()),
        ('maps', lambda: open('/proc/1/maps', 'rb').read()),
    )
"""),
    Attack("raises_its_limits", """\
def attack():
    def more(which):
        soft, hard = resource.getrlimit(which)
        if hard == resource.RLIM_INFINITY:
            return
        resource.setrlimit(which, (hard + 1, hard + 1))
        if resource.getrlimit(which)[1] > hard:
            done.append(which)
    done = []
    for which in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE,
                  resource.RLIMIT_NOFILE, resource.RLIMIT_CPU, resource.RLIMIT_CORE):
        try:
            more(which)
        except (OSError, ValueError):
            pass
    return repr(done) if done else None
"""),
    Attack("raises_its_priority", """\
def attack():
    return tried(
        ('nice', lambda: os.nice(-5)),
        ('fifo', lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))),
    )
"""),
    Attack("leaves_a_core", """\
def attack():
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20))
    except (OSError, ValueError):
        pass
    os.abort()
"""),
    Attack("speaks_nonsense_to_the_worker", """\
def attack():
    for descriptor in range(64):
        for line in (b'\\xff\\xff\\xff\\xff', b'\\x7f\\xff\\xff\\xff{', b'[[[[' * 4096, b'\\n\\x00',
                     b'{"ready": true, "alone": false}\\n', b'["", "value", ' + b'[' * 100_000):
            try:
                os.set_blocking(descriptor, False)
                os.write(descriptor, line)
            except OSError:
                break
    os._exit(0)
"""),
)  # fmt: skip

ESCAPES = (*TIME, *_FLOODS, *_LIFE)
