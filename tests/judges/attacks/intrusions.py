# SPDX-License-Identifier: Apache-2.0
"""Attacks on what is outside: files, network, kernel, the cleaning, and the next candidate.

What they leave behind is looked for by ``look``.
"""

from __future__ import annotations

from tests.judges.attacks.escapes import Attack

_FILES = (
    Attack("writes_to_the_system", """\
def attack():
    done = []
    places = ['/', '/etc', '/usr', '/usr/bin', '/bin', '/lib', '/dev', '/run', '/var', '/var/tmp',
              '/home', '/root', '/judge', '/judge/inside', '/proc', '/sys', sys.prefix,
              os.path.dirname(os.__file__), os.path.dirname('@VICTIM@'), '@VICTIM@']
    for place in places:
        try:
            with open(place + '/planted', 'w'):
                done.append(place)
        except OSError:
            pass
    for path in ('/etc/passwd', os.__file__, '/judge/inside/server.py', sys.executable,
                 '/etc/ld.so.cache', '/usr/bin/env', '@SECRET@'):
        try:
            with open(path, 'r+b'):
                done.append(path)
        except OSError:
            pass
    return ', '.join(done)
"""),
    Attack("reads_what_is_secret", """\
def attack():
    def home(place):
        way = os.path.realpath(sys.base_prefix).split('/')
        inner = way[way.index(place) + 1] if place in way else None
        if any(name != inner for name in os.listdir('/' + place)):
            return
        raise OSError('only the way to the interpreter')
    return tried(
        ('shadow', lambda: open('/etc/shadow').read()),
        ('file of the host', lambda: open('@SECRET@').read()),
        ('folder of the host', lambda: os.listdir('@VICTIM@')),
        ('root', lambda: home('root')),
        ('home', lambda: home('home')),
        ('keys', lambda: open('/proc/keys').read()),
        ('machine', lambda: open('/etc/machine-id').read()),
        ('host name', lambda: open('/etc/hostname').read()),
        ('password', lambda: open('/etc/passwd').read()),
    )
"""),
    Attack("reads_the_judge", """\
def attack():
    seen = [repr(dict(os.environ)), repr(sys.argv), repr(sys.orig_argv)]
    for number in (1, 2, os.getppid(), 'self'):
        for name in ('environ', 'cmdline', 'status'):
            try:
                seen.append(open(f'/proc/{number}/{name}').read())
            except OSError:
                pass
    if 'CODETEMPER_TEST_SECRET' in ''.join(seen):
        return 'the environment of the judge'
    if '/proc' in os.listdir('/') and any(n.isdigit() for n in os.listdir('/proc')):
        return 'processes'
"""),
    Attack("holds_foreign_descriptors", """\
def attack():
    import fcntl
    found = []
    for descriptor in range(1024):
        try:
            mode = os.fstat(descriptor).st_mode
            way = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        except OSError:
            continue
        if stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISBLK(mode):
            found.append(f'{descriptor}: a file or folder')
        if stat.S_ISCHR(mode) and os.fstat(descriptor).st_rdev != os.makedev(1, 3):
            found.append(f'{descriptor}: a device')
    return ', '.join(found)
"""),
    Attack("devices", """\
def attack():
    return tried(
        ('kernel log', lambda: open('/dev/kmsg', 'rb').close()),
        ('memory', lambda: open('/dev/mem', 'rb').close()),
        ('ports', lambda: open('/dev/port', 'rb').close()),
        ('disk', lambda: open('/dev/vda', 'rb').close()),
        ('fuse', lambda: open('/dev/fuse', 'rb').close()),
        ('kvm', lambda: open('/dev/kvm', 'rb').close()),
        ('tty', lambda: open('/dev/tty', 'rb').close()),
        ('sysrq', lambda: open('/proc/sysrq-trigger', 'w').close()),
        ('core', lambda: open('/proc/sys/kernel/core_pattern', 'w').close()),
        ('made', lambda: os.mknod('disk', stat.S_IFBLK | 0o666, os.makedev(8, 0))),
        ('made memory', lambda: os.mknod('memory', stat.S_IFCHR | 0o666, os.makedev(1, 1))),
        ('cgroup', lambda: os.mkdir('/sys/fs/cgroup/memory/planted')),
    )
"""),
    Attack("terminal_input", """\
def attack():
    import fcntl
    return tried(*((str(d), lambda d=d: fcntl.ioctl(d, 0x5412, b'x')) for d in range(16)))
"""),
)  # fmt: skip

_NETWORK = (
    Attack("connects_to_the_host", """\
def attack():
    def connect(family, address):
        with socket.socket(family) as one:
            one.settimeout(0.5)
            one.connect(address)
    return tried(
        ('loopback', lambda: connect(socket.AF_INET, ('127.0.0.1', @PORT@))),
        ('loopback 6', lambda: connect(socket.AF_INET6, ('::1', @PORT@))),
        ('abstract', lambda: connect(socket.AF_UNIX, '\\0codetemper-@PORT@')),
        ('file', lambda: connect(socket.AF_UNIX, '@VICTIM@/socket')),
    )
"""),
    Attack("asks_for_names", """\
def attack():
    socket.getaddrinfo('example.org', 80)
    return 'resolved'
"""),
    Attack("raw_and_kernel_sockets", """\
def attack():
    kinds = {'raw': (2, 3, 1), 'packet': (17, 3, 0), 'netlink': (16, 3, 0), 'vsock': (40, 1, 0),
             'alg': (38, 5, 0), 'bluetooth': (31, 3, 1)}
    return tried(*((name, lambda kind=kind: socket.socket(*kind).close())
                   for name, kind in kinds.items()))
"""),
    Attack("sends_to_the_next", """\
def attack():
    held = []
    for address in ('\\0planted', 'planted.sock'):
        one = socket.socket(socket.AF_UNIX)
        one.bind(address)
        one.listen()
        held.append(one)
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
    server = socket.create_server(('127.0.0.1', 47123))
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
"""),
)  # fmt: skip

_KERNEL = (
    Attack("mounts_and_namespaces", """\
def attack():
    os.makedirs('here', exist_ok=True)
    calls = [
        ('mount', lambda: asked(libc.mount(b'none', b'here', b'tmpfs', 0, None))),
        ('bind', lambda: asked(libc.mount(b'/', b'here', None, 4096, None))),
        ('writable', lambda: asked(libc.mount(None, b'/', None, 32 | 4096, None))),
        ('umount', lambda: asked(libc.umount2(b'/tmp', 2))),
        ('pivot', lambda: asked(libc.pivot_root(b'.', b'.'))),
        ('chroot', lambda: os.chroot('here')),
        ('name', lambda: asked(libc.sethostname(b'x', 1))),
    ]
    flags = {'user': 0x10000000, 'mount': 0x20000, 'pid': 0x20000000, 'net': 0x40000000}
    calls += [(name, lambda flag=flag: asked(libc.unshare(flag))) for name, flag in flags.items()]
    def clone():
        child = asked(libc.syscall(number, 0x10000000 | 17, 0, 0, 0, 0))
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    number = 56 if platform.machine() == 'x86_64' else 220
    return tried(*calls, ('clone', clone))
"""),
    Attack("kernel_interfaces", """\
def attack():
    intel = platform.machine() == 'x86_64'
    numbers = {
        'bpf': (321, 280), 'perf': (298, 241), 'io_uring': (425, 425), 'userfault': (323, 282),
        'kexec': (246, 104), 'module': (175, 105), 'keyctl': (250, 219), 'add_key': (248, 217),
        'acct': (163, 89), 'swapon': (167, 224), 'quotactl': (179, 60), 'syslog': (103, 116),
        'open_by_handle': (304, 265), 'fanotify': (300, 262), 'fsopen': (430, 430),
        'settime': (164, 170), 'open_tree': (428, 428), 'pidfd_getfd': (438, 438),
    }
    words = {'io_uring': (2, buffer := ctypes.create_string_buffer(256), 0, 0, 0),
             'bpf': (0, buffer, 72, 0, 0), 'perf': (buffer, 0, -1, -1, 0),
             'userfault': (1, 0, 0, 0, 0), 'keyctl': (0, -3, 1, 0, 0),
             'syslog': (3, buffer, 200, 0, 0), 'add_key': (b'user', b'planted', b'x', 1, -3),
             'fanotify': (0, 0, 0, 0, 0), 'fsopen': (b'tmpfs', 0, 0, 0, 0),
             'open_tree': (-100, b'/', 1, 0, 0)}
    return tried(*((name, lambda n=number, w=words.get(name, (0, 0, 0, 0, 0)):
                    asked(libc.syscall(n[0] if intel else n[1], *w)))
                   for name, number in numbers.items()))
"""),
    Attack("becomes_somebody_else", """\
def attack():
    return tried(
        ('root', lambda: os.setresuid(0, 0, 0)),
        ('root group', lambda: os.setresgid(0, 0, 0)),
        ('groups', lambda: os.setgroups([0])),
        ('neighbour', lambda: os.setuid(os.getuid() + 1)),
    )
"""),
    Attack("has_capabilities", """\
def attack():
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()
    asked(libc.capget(header, sets))
    # Effective and permitted; what may be inherited is nothing to a process that cannot gain any.
    held = [sets[0], sets[1], sets[3], sets[4]]
    return f'capabilities {held}' if any(held) else None
"""),
    Attack("gains_by_a_set_user_id_program", """\
def attack():
    with open('mine', 'wb') as stream:
        stream.write(b'#!/bin/sh\\n')
    try:
        os.chmod('mine', 0o6755)
    except OSError:
        pass
    return None if libc.prctl(39, 0, 0, 0, 0) == 1 else 'new privileges are possible'
"""),
    Attack("runs_another_program", """\
def attack():
    import subprocess
    return tried(
        ('shell', lambda: subprocess.run(['/bin/sh', '-c', 'true'], check=True)),
        ('python', lambda: subprocess.run([sys.executable, '-c', '1'], check=True)),
        ('spawn', lambda: os.waitpid(os.posix_spawn('/bin/true', ['true'], {}), 0)),
    )
"""),
)  # fmt: skip

_LEFT = (
    Attack("leaves_files", """\
def attack():
    for place in ('.', '..', '/tmp', '/var/tmp', '/dev/shm', '/run', '/', os.environ['HOME']):
        try:
            os.makedirs(place + '/planted/deep')
            with open(place + '/planted/deep/file', 'w') as stream:
                stream.write('seen')
        except OSError:
            pass
"""),
    Attack("leaves_shared_memory", """\
def attack():
    for call, rest in ((libc.shmget, (4096, 0o1666)), (libc.msgget, (0o1666,)),
                       (libc.semget, (1, 0o1666))):
        call(0x5EED, *rest)
    for name in (b'/planted',):
        try:
            libc.shm_open(name, os.O_CREAT | os.O_RDWR, 0o666)
            libc.mq_open(name, os.O_CREAT | os.O_RDWR, 0o666, None)
            libc.sem_open(name, os.O_CREAT, 0o666, 1)
        except AttributeError:
            pass
    number = 248 if platform.machine() == 'x86_64' else 217
    libc.syscall(number, b'user', b'planted', b'x', 1, -4)
    libc.syscall(number, b'user', b'planted', b'x', 1, -5)
"""),
    Attack("leaves_a_daemon_that_writes", """\
def attack():
    if os.fork():
        return None
    os.setsid()
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    if os.fork():
        os._exit(0)
    while True:
        for place in ('/tmp', '..', '.', '/dev/shm'):
            try:
                os.mkdir(f'{place}/planted{time.monotonic_ns()}')
            except OSError:
                pass
"""),
    Attack("links_for_the_cleaning", """\
def attack():
    for number, target in enumerate(['/', '/usr', '/judge/inside', '..', '.', '@VICTIM@', '/etc',
                                     'loop', '/proc/1/root', '../build']):
        os.symlink(target, f'link{number}')
    os.symlink('loop', 'loop')
    os.mkdir('folder')
    for target in ('/usr/bin/env', os.__file__, '/judge/inside/server.py'):
        try:
            os.link(target, 'folder/' + os.path.basename(target))
        except OSError:
            pass
    here = os.getcwd()
    os.chdir('/')
    try:
        os.rename(here, here + 'x')
        os.symlink('/usr', here)
    except OSError:
        pass
"""),
    Attack("closed_folders", """\
def attack():
    for number in range(20):
        os.makedirs(f'closed{number}/in/in')
        open(f'closed{number}/in/in/file', 'w').close()
        os.chmod(f'closed{number}/in/in', 0)
        os.chmod(f'closed{number}/in', 0o100)
        os.chmod(f'closed{number}', 0)
    os.chmod('.', 0)
"""),
    Attack("deep_folders", """\
def attack():
    for _ in range(10_000):
        os.mkdir('d')
        os.chdir('d')
"""),
    Attack("strange_names", """\
def attack():
    os.umask(0o777)
    for name in (b'-rf', b'\\xff\\xfe', b'a\\nb', b' ', b'x' * 255, b'*', b'~', b'$HOME', b'..\\\\',
                 '\\u202e\\U0001f600'.encode()):
        os.mkdir(name)
    os.mkfifo('pipe')
    with socket.socket(socket.AF_UNIX) as one:
        one.bind('socket')
"""),
    Attack("files_that_cannot_change", """\
def attack():
    import fcntl
    with open('fixed', 'w') as stream:
        fcntl.ioctl(stream, 0x40086602, struct.pack('l', 0x10))
    return 'made a file immutable'
"""),
    Attack("takes_its_folder_away", """\
def attack():
    here = os.getcwd()
    os.chdir('/')
    os.rmdir(here)
"""),
    Attack("changes_its_surroundings", """\
def attack():
    os.environ.update(TZ='Pacific/Auckland', HOME='/', LD_PRELOAD='x', PYTHONPATH='/tmp')
    time.tzset()
    os.umask(0o777)
    os.nice(10)
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    sys.setrecursionlimit(200)
    sys.path[:0] = ['/tmp']
    import builtins, json, random
    builtins.len = json.dumps = random.seed = None
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
    resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
"""),
)  # fmt: skip

INTRUSIONS = (*_FILES, *_NETWORK, *_KERNEL, *_LEFT)
