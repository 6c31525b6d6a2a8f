"""How time grows with bytes and with files: it should do so in proportion, so that the last column stays what it is.
The store is a directory; each size runs once, since only the order of magnitude counts."""
import shutil
import time
from pathlib import Path

from local import Repository
from measure import PeakOf, Shell, random_file, spent_by_children

STEPS = ("git add, commit", "git push", "s3lfs clone", "git status")


def table(shell: Shell, work: Path, files: list[int], mebibytes: list[int], home: str):
    """Prints both tables."""
    print("\n| files of 1 KiB | " + " | ".join(f"{step}, s" for step in STEPS) + " | all, ms a file, wall (CPU) | peak memory |\n|" + "---|" * (len(STEPS) + 3))
    for count in files:
        line(shell, work, f"{count:,}", count, 1 << 10, home, lambda seconds: f"{1000 * seconds / count:.2f}")
    print("\n| one file, MiB | " + " | ".join(f"{step}, s" for step in STEPS) + " | all, ms a MiB, wall (CPU) | peak memory |\n|" + "---|" * (len(STEPS) + 3))
    for size in mebibytes:
        line(shell, work, f"{size:,}", 1, size << 20, home, lambda seconds: f"{1000 * seconds / size:.2f}")


def line(shell: Shell, work: Path, label: str, count: int, size: int, home: str, each):
    place = work / "growth"
    repository = Repository(shell, "s3lfs", place / "here")
    (place / "none").mkdir(parents=True)
    repository.renew(place / "none")
    for number in range(count):
        random_file(repository.at / f"d{number % 1000:03}" / f"{number}.bin", size)
    shell(place, "git", "init", "-q", "--bare", "remote.git")
    repository.git("remote", "add", "origin", str(place / "remote.git"))
    clone = place / "clone"
    seconds, cpu = [], spent_by_children()

    def timed(*act):
        begun = time.perf_counter()
        for where, *command in act:
            shell(where, *command)
        seconds.append(time.perf_counter() - begun)

    with PeakOf("s3lfs", home) as memory:
        timed((repository.at, "git", "add", "."), (repository.at, "git", "commit", "-q", "-m", "files"))
        timed((repository.at, "git", "push", "-q", "-u", "origin", "main"))
        # The largest need the room.
        shutil.rmtree(repository.at)
        timed((place, "s3lfs", "-q", "clone", str(place / "remote.git"), str(clone)))
        timed((clone, "git", "status", "--porcelain"))
    cpu = spent_by_children() - cpu
    print(f"| {label} | " + " | ".join(f"{each:.2f}" for each in seconds) + f" | {each(sum(seconds))} ({each(cpu)}) | {memory.peak / 2**20:.0f} MiB |", flush=True)
    shutil.rmtree(place)
