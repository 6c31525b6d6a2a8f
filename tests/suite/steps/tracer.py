"""Run s3lfs so that it is killed, or gets an error, at the Nth step that changes something on the disk.

Apart from strace because that counts by thread, and by call, and follows the children: here a step is a step,
whichever thread of whichever s3lfs of one Git command does it, and Git itself is left alone. x86-64 Linux only.

    python3 tracer.py REAL [ARGUMENT]...

STEPS_DIR      holds `count` (steps so far, of all processes) and `log` (one a line: number, pid, call, paths)
STEPS_AT       the number of the step at which it happens; 0: never
STEPS_HOW      KILL, or the name of an errno; with a + behind it, all steps from then on fail
"""

import ctypes
import errno
import fcntl
import os
import signal
import stat
import struct
import sys

TRACEME, CONT, SYSCALL, POKEUSER, SETOPTIONS, SYSCALL_INFO = 0, 7, 24, 6, 0x4200, 0x420E
SYSGOOD, TRACECLONE, TRACEEXEC, EXITKILL = 1, 1 << 3, 1 << 4, 1 << 20
WALL = 0x40000000
SUBREAPER = 36
ORIG_RAX, RAX = 15 * 8, 10 * 8
FICLONE = 0x40049409

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]

# Number: name, then how to read the arguments: p a path, d and p a directory and a path in it, f a file that is
# open, - nothing of interest. The second file of a call is the first of what is written.
CALLS = {
    2: ("open", "p"), 85: ("creat", "p"), 257: ("openat", "dp"), 437: ("openat2", "dp"),
    1: ("write", "f"), 18: ("pwrite", "f"), 20: ("writev", "f"), 40: ("sendfile", "f"),
    326: ("copy_file_range", "--f"), 275: ("splice", "--f"), 16: ("ioctl", "f"),
    82: ("rename", "pp"), 264: ("rename", "dpdp"), 316: ("rename", "dpdp"),
    86: ("link", "pp"), 265: ("link", "dpdp"), 88: ("symlink", "-p"), 266: ("symlink", "-dp"),
    87: ("unlink", "p"), 263: ("unlink", "dp"), 84: ("rmdir", "p"), 83: ("mkdir", "p"), 258: ("mkdir", "dp"),
    74: ("fsync", "f"), 75: ("fdatasync", "f"), 77: ("ftruncate", "f"), 76: ("truncate", "p"),
    90: ("chmod", "p"), 91: ("fchmod", "f"), 268: ("chmod", "dp"), 452: ("chmod", "dp"),
}  # fmt: skip

# A child is started, which may change what it likes (Git's configuration, refs): a step that no disk can fail.
STARTS = {56: "clone", 57: "fork", 58: "vfork", 435: "clone3"}
CLONE_THREAD = 0x10000
STARTED = "process:"


def ptrace(request, pid, addr=0, data=0):
    answer = libc.ptrace(request, pid, addr, data)
    if answer < 0 and ctypes.get_errno() != errno.ESRCH:  # gone meanwhile, by the kill
        raise OSError(ctypes.get_errno(), f"ptrace {request}")
    return answer


def text(tid, address):
    with open(f"/proc/{tid}/mem", "rb", 0) as memory:
        bytes_ = b""
        while b"\0" not in bytes_:
            at = address + len(bytes_)
            memory.seek(at)
            bytes_ += memory.read(4096 - at % 4096)
    return os.fsdecode(bytes_.split(b"\0")[0])


def opened(tid, fd):
    try:
        return os.readlink(f"/proc/{tid}/fd/{fd}")
    except OSError:
        return ""


def paths(tid, shape, args):
    """The paths of a call, absolute."""
    found, base = [], f"/proc/{tid}/cwd"
    for kind, arg in zip(shape, args):
        if kind == "d":
            fd = ctypes.c_int32(arg & 0xFFFFFFFF).value
            base = f"/proc/{tid}/cwd" if fd == -100 else f"/proc/{tid}/fd/{fd}"
        elif kind == "p":
            found.append(os.path.normpath(os.path.join(os.readlink(base), text(tid, arg))))
        elif kind == "f":
            found.append(opened(tid, arg & 0xFFFFFFFF))
    return found


def step(tid, number, args):
    """The name and paths of a call that changes something, else None."""
    if number in STARTS:
        flags = args[0] if number == 56 else 0
        if number == 435:
            with open(f"/proc/{tid}/mem", "rb", 0) as memory:
                memory.seek(args[0])
                flags = struct.unpack("<Q", memory.read(8))[0]
        return None if flags & CLONE_THREAD else ("start", [STARTED])
    if number not in CALLS:
        return None
    name, shape = CALLS[number]
    if number in (2, 257, 437):
        if number == 437:
            with open(f"/proc/{tid}/mem", "rb", 0) as memory:
                memory.seek(args[2])
                flags = struct.unpack("<Q", memory.read(8))[0]
        else:
            flags = args[1 if number == 2 else 2]
        if not flags & (os.O_CREAT | os.O_TRUNC):
            return None
    if number == 16 and args[1] & 0xFFFFFFFF != FICLONE:
        return None
    found = paths(tid, shape, args)
    if shape.endswith("f"):
        try:
            mode = os.stat(f"/proc/{tid}/fd/{args[shape.index('f')] & 0xFFFFFFFF}").st_mode
        except OSError:
            return None
        # What goes to the terminal changes nothing here; what goes to Git may; a directory is synced, too.
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
            return None
    if found and found[-1].startswith(("/dev/", "/proc/")) and not found[-1].startswith("/dev/shm/"):
        return None
    return name, found


class Run:
    def __init__(self):
        directory = os.environ["STEPS_DIR"]
        self.count = os.open(os.path.join(directory, "count"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        self.log = os.open(
            os.path.join(directory, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666
        )
        self.at = int(os.environ.get("STEPS_AT", "0"))
        how = os.environ.get("STEPS_HOW", "KILL")
        self.lasting, self.how = how.endswith("+"), how.rstrip("+")
        self.failing = {}

    def next(self):
        fcntl.flock(self.count, fcntl.LOCK_EX)
        number = int(os.pread(self.count, 20, 0) or b"0") + 1
        os.pwrite(self.count, str(number).encode(), 0)
        fcntl.flock(self.count, fcntl.LOCK_UN)
        return number

    def entered(self, main, tid, call, args):
        what = step(tid, call, args)
        if what is None:
            return
        number = self.next()
        name, found = what
        hit = self.at and (number == self.at or self.lasting and number > self.at)
        if hit and self.lasting and self.how in ("ENOSPC", "EDQUOT"):
            # A full disk still lets go.
            hit = number == self.at or name not in ("unlink", "rmdir", "chmod", "fchmod", "fsync", "fdatasync")
        if hit and self.how != "KILL" and found[0].startswith(("pipe:", STARTED)):
            hit = False  # no disk is behind it
        mark = self.how if hit else "-"
        os.write(self.log, os.fsencode("\t".join([str(number), str(main), mark, name, *found]) + "\n"))
        if hit and self.how == "KILL":
            os.kill(main, signal.SIGKILL)
        elif hit:
            self.failing[tid] = getattr(errno, self.how)
            ptrace(POKEUSER, tid, ORIG_RAX, ctypes.c_uint64(-1 & (1 << 64) - 1).value)

    def left(self, tid):
        failed = self.failing.pop(tid, None)
        if failed is not None:
            ptrace(POKEUSER, tid, RAX, ctypes.c_uint64(-failed & (1 << 64) - 1).value)


def trace(run, main):
    """Until the process is gone; its wait status."""
    info = ctypes.create_string_buffer(88)
    known = set()
    ended = None
    while True:
        try:
            tid, status = os.waitpid(-1, WALL)
        except ChildProcessError:
            return ended
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            # What it started is waited for, too: the next command begins when all is quiet.
            if tid == main:
                ended = status
            continue
        passed, number = 0, os.WSTOPSIG(status)
        if number == signal.SIGTRAP | 0x80:
            got = libc.ptrace(SYSCALL_INFO, tid, ctypes.c_void_p(88), info)
            if got > 0:
                if info.raw[0] == 1:
                    call, *args = struct.unpack_from("<7Q", info.raw, 24)
                    try:
                        run.entered(main, tid, call, args)
                    except (OSError, ValueError):
                        if os.path.exists(f"/proc/{tid}/mem") and os.environ.get("STEPS_DEBUG"):
                            raise
                elif info.raw[0] == 2:
                    run.left(tid)
        elif status >> 16:
            pass
        elif number == signal.SIGSTOP and tid not in known:
            if tid == main:
                ptrace(SETOPTIONS, tid, 0, SYSGOOD | TRACECLONE | TRACEEXEC | EXITKILL)
        else:
            passed = number
        known.add(tid)
        ptrace(SYSCALL, tid, 0, passed)


def main():
    libc.prctl(SUBREAPER, 1, 0, 0, 0)
    run = Run()
    child = os.fork()
    if child == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(sys.argv[1], ["s3lfs", *sys.argv[2:]])
    status = trace(run, child)
    if status is not None and os.WIFSIGNALED(status):
        signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
        os.kill(os.getpid(), os.WTERMSIG(status))
    sys.exit(os.WEXITSTATUS(status) if status is not None else 70)


main()
