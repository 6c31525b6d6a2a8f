"""Times commands against each other, one after the other in every round, so that what else the machine does hits
all of them alike; the ratio of medians is what counts. Also the processors' time, which other work on the machine hardly
changes, and the peak memory of every s3lfs process meanwhile."""
import os
import resource
import shutil
import statistics
import subprocess
import threading
import time
from pathlib import Path


class Failed(SystemExit):
    """A command failed; what it said."""


class Shell:
    """Runs commands in an environment of the benchmark's own: nobody's HOME, nobody's Git configuration."""

    def __init__(self, home: Path, binaries: list[Path], **extra: str):
        home.mkdir(parents=True, exist_ok=True)
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join([*map(str, binaries), os.environ["PATH"]])
        self.env = {**kept, "HOME": str(home), "PATH": path, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", **extra}
        for name, value in (("user.name", "Bench"), ("user.email", "bench@example.org"), ("init.defaultBranch", "main"),
                            ("gc.auto", "0"), ("maintenance.auto", "false"), ("advice.detachedHead", "false")):
            self(home, "git", "config", "--global", name, value)

    def __call__(self, where: Path, *command: str, stdin: str | None = None) -> str:
        """Runs it; a failure is `Failed`, with what the command said."""
        done = subprocess.run([str(word) for word in command], cwd=where, env=self.env, text=True, errors="replace",
                              input=stdin, stdin=None if stdin is not None else subprocess.DEVNULL, capture_output=True)
        if done.returncode:
            raise Failed(f"bench: {' '.join(map(str, command))} in {where} ended with {done.returncode}:\n"
                         f"{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout


class PeakOf:
    """The highest VmHWM, in bytes, of the processes of this name and with this HOME that were seen while it was open.

    The kernel keeps the mark, so that looking every few milliseconds misses only what a process added after the
    last look."""

    def __init__(self, name: str, home: str):
        self.name, self.home, self.peak, self.done = name, f"HOME={home}\0".encode(), 0, threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()

    def _watch(self):
        while not self.done.wait(0.005):
            for process in os.listdir("/proc"):
                if not process.isdigit():
                    continue
                try:
                    status = Path("/proc", process, "status").read_text()
                    ours = status.startswith(f"Name:\t{self.name}\n") and self.home in Path("/proc", process, "environ").read_bytes()
                except OSError:
                    continue
                if ours and "VmHWM:" in status:
                    self.peak = max(self.peak, int(status.split("VmHWM:")[1].split()[0]) * 1024)


class Case:
    """What is measured: each contender's name, with what makes it ready (not timed) and what is timed. `floor`: the
    contender that does nothing which s3lfs could do without."""

    def __init__(self, name: str, target: float | None, against: str, contenders: dict, floor: str | None = None):
        self.name, self.target, self.against, self.contenders, self.floor = name, target, against, contenders, floor

    def run(self, rounds: int, home: str) -> dict:
        seconds, cpu = ({name: [] for name in self.contenders} for _ in range(2))
        for turn in range(rounds):
            order = list(self.contenders.items())
            for name, (ready, act) in order if turn % 2 == 0 else order[::-1]:
                ready()
                begun, spent = time.perf_counter(), spent_by_children()
                act()
                seconds[name].append(time.perf_counter() - begun)
                cpu[name].append(spent_by_children() - spent)
        medians, of_cpu = ({name: statistics.median(times) for name, times in each.items()} for each in (seconds, cpu))
        ready, act = self.contenders["s3lfs"]
        ready()
        with PeakOf("s3lfs", home) as memory:
            act()
        def ratio(of):
            return of["s3lfs"] / of[self.against] if of.get(self.against) else None

        return {"case": self.name, "seconds": medians, "cpu": of_cpu, "all": seconds, "against": self.against, "floor": self.floor,
                "ratio": ratio(medians), "ratio_cpu": ratio(of_cpu), "target": self.target, "peak": memory.peak}


def spent_by_children() -> float:
    """Seconds of processors that ended processes took; not those of a service that is asked, nor of what goes on."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def random_file(path: Path, size: int):
    """Bytes that no compressor shrinks."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as out:
        while size:
            size -= out.write(os.urandom(min(size, 8 << 20)))


def csv_file(path: Path, size: int):
    """Text as a measuring device writes it: it shrinks to about a third."""
    import random

    path.parent.mkdir(parents=True, exist_ok=True)
    dice = random.Random(1)
    with open(path, "w") as out:
        row = 0
        while size > 0:
            lines = []
            for _ in range(4096):
                row += 1
                lines.append(f"{row},2026-01-{row % 28 + 1:02},sensor-{dice.randrange(40)},{dice.gauss(20, 5):.3f},{dice.random():.4f},ok\n")
            size -= out.write("".join(lines))


def copied(files: Path, into: Path):
    """A copy of a tree, an hour old: Git need not take it for just changed."""
    shutil.copytree(files, into, dirs_exist_ok=True)
    then = time.time() - 3600
    for folder, _, names in os.walk(into):
        if ".git" in Path(folder).parts:
            continue
        for name in names:
            os.utime(os.path.join(folder, name), (then, then))
