"""How fast s3lfs is beside its peers, on this machine, in one run.

    python3 tests/bench                          local cases; beside git-lfs, where it is on PATH
    .ci/seaweedfs python3 tests/bench            and the remote ones, where s5cmd is on PATH, too
    python3 tests/bench --only 'git add' --rounds 5
    python3 tests/bench --growth                 how time grows, from 1,000 files to 100,000, from 1 MiB to 10 GiB

Prints a table with the medians and the ratio to the peer; a target is the one that the project set itself. Nothing
here is a test: a time depends on the machine, only ratios of one run mean something."""
import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import growth
import local
import picture
import remote
from measure import Failed, Shell

PROJECT = Path(__file__).resolve().parents[2]


def arguments():
    parser = argparse.ArgumentParser(prog="tests/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name has this text")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender runs (3)")
    parser.add_argument("--big", type=int, default=1024, metavar="MIB", help="size of the one large file (1024)")
    parser.add_argument("--files", type=int, default=100_000, help="tracked files of the repository in which nothing changed (100000)")
    parser.add_argument("--growth", action="store_true", help="only the tables of growth")
    parser.add_argument("--most", type=int, default=10_240, metavar="MIB", help="the largest file there (10240)")
    parser.add_argument("--s3lfs", type=Path, metavar="BINARY", help="else target/release/s3lfs, built first")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="else a folder in /dev/shm, or where temporary files go")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every single time as JSON, too")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="the ratios as a picture, too")
    return parser.parse_args()


def machine() -> list[str]:
    def first(command):
        done = subprocess.run(command, capture_output=True, text=True)
        return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else None

    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), model)
    lines = [f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f} at the start"]
    for tool in (["git", "--version"], ["git-lfs", "--version"], ["s5cmd", "version"]):
        lines.append(f"{tool[0]}: {(shutil.which(tool[0]) and first(tool)) or 'not on PATH, left out'}")
    return lines


def binary(given: Path | None) -> Path:
    if given:
        return given.resolve()
    subprocess.run(["cargo", "build", "--release", "--locked"], cwd=PROJECT, check=True)
    done = subprocess.run(["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"], cwd=PROJECT, check=True, capture_output=True)
    return Path(json.loads(done.stdout)["target_directory"], "release", "s3lfs")


def row(result: dict) -> str:
    times = {name: f"{seconds:.3f} s ({result['cpu'][name]:.2f})" for name, seconds in result["seconds"].items()}
    ours, shown = times.pop("s3lfs"), ", ".join(f"{name} {time}" for name, time in times.items())
    ratio = " / ".join("-" if result[name] is None else f"{result[name]:.2f}" for name in ("ratio", "ratio_cpu"))
    target = f"{result['target']:.2f}" if result["target"] else "-"
    return f"| {result['case']} | {ours} | {shown} | {ratio} | {target} | {result['peak'] / 2**20:.0f} MiB |"


def main():
    given = arguments()
    program = binary(given.s3lfs)
    memory = Path("/dev/shm")
    work = Path(tempfile.mkdtemp(prefix="s3lfs-bench-", dir=given.work or (memory if memory.is_dir() else None)))
    try:
        own = work / "bin"
        own.mkdir()
        shutil.copy2(program, own / "s3lfs")
        service = os.environ.get("S3LFS_TEST_ENDPOINT")
        keys = {name: os.environ[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY") if name in os.environ}
        # For trying out settings: S3LFS_JOBS and the like go through.
        tuned = {name: value for name, value in os.environ.items() if name.startswith("S3LFS_") and "TEST" not in name}
        shell = Shell(work / "home", [own], AWS_REGION="us-east-1", **keys, **tuned)
        if given.growth:
            print("\n".join(machine()))
            files = [count for count in (1_000, 10_000, 100_000) if count <= given.files]
            growth.table(shell, work, files, [size for size in (1, 10, 100, 1_024, 4_096, 10_240) if size <= given.most], shell.env["HOME"])
            return
        todo = [*local.cases(shell, work, shutil.which, given.big << 20), *local.scale_cases(shell, work, given.files),
                *local.manifest_cases(shell, work)]
        if service and shutil.which("s5cmd"):
            todo += remote.cases(shell, work, service, given.big << 20)
        else:
            print("remote cases left out: they want s5cmd on PATH, and S3LFS_TEST_ENDPOINT (.ci/seaweedfs sets it)")
        print("\n".join(machine()))
        print("\n| case | s3lfs: wall (CPU) | peers | ratio to the first, wall / CPU | target, wall | peak memory of s3lfs |\n|---|---|---|---|---|---|", flush=True)
        results, failed = run(todo, given, shell.env["HOME"])
        if given.json:
            given.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1))
        if given.svg:
            picture.draw(given.svg, machine(), results)
        return 1 if failed else 0
    finally:
        shutil.rmtree(work, ignore_errors=True)


def run(todo, given, home: str) -> tuple[list[dict], bool]:
    """Cases that share files come in a row: the first sets them up, the last one clears them away. A row of which no
    case was asked for is passed over whole."""
    results, group, failed = [], [], False
    for begin, case, end in todo:
        group.append((begin, case))
        if end is None and case is not todo[-1][1]:
            continue
        if any(given.only in each.name for _, each in group):
            # A contender that fails ends its row of cases, not the others.
            try:
                for ready, each in group:
                    if ready:
                        ready()
                    if given.only in each.name:
                        results.append(each.run(given.rounds, home))
                        print(row(results[-1]), flush=True)
            except Failed as error:
                print(error, file=sys.stderr, flush=True)
                failed = True
            finally:
                if end:
                    end()
        group = []
    return results, failed


if __name__ == "__main__":
    sys.exit(main())
