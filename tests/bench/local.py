"""Git's own commands with s3lfs, with git-lfs, with no filter, and with one that does nothing but answer (idle.rs, the floor;
it wants rustc on PATH), in one directory of memory; the store is a directory."""
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from measure import Case, Shell, copied, random_file

MANY, EACH = 10_000, 10 << 10
IDLE = "git with an idle filter"


def make_files(folder: Path, kind: str, big: int):
    if kind == "big":
        random_file(folder / "big.bin", big)
    else:
        for number in range(MANY):
            random_file(folder / f"d{number % 100:02}" / f"{number}.bin", EACH)


class Repository:
    """One repository of one contender; `renew` makes it again, with nothing but its settings committed."""

    def __init__(self, shell: Shell, tool: str, at: Path):
        self.shell, self.tool, self.at = shell, tool, at

    def git(self, *words):
        self.shell(self.at, "git", *words)

    def renew(self, files: Path):
        shutil.rmtree(self.at, ignore_errors=True)
        store = self.at.with_name(self.at.name + ".store")
        shutil.rmtree(store, ignore_errors=True)
        self.at.mkdir(parents=True)
        self.git("init", "-q")
        if self.tool == "s3lfs":
            self.shell(self.at, "s3lfs", "init", f"file://{store}", "bench")
            self.shell(self.at, "s3lfs", "git-setup")
            self.shell(self.at, "s3lfs", "track", "*.bin")
        elif self.tool == "git-lfs":
            self.git("lfs", "install", "--local")
            self.git("lfs", "track", "*.bin")
        elif self.tool == IDLE:
            self.git("config", "filter.idle.process", str(self.at.parent / "idle"))
            self.git("config", "filter.idle.required", "true")
            (self.at / ".gitattributes").write_text("*.bin filter=idle -text\n")
        self.git("add", ".")
        self.git("commit", "-q", "--allow-empty", "-m", "settings")
        self.git("branch", "-f", "empty")
        copied(files, self.at)

    def commit(self, files: Path):
        self.renew(files)
        self.git("add", ".")
        self.git("commit", "-q", "-m", "files")

    def empty(self):
        self.git("switch", "-q", "empty")

    def full(self):
        self.git("checkout", "-q", "main")


def cases(shell: Shell, work: Path, has, big: int):
    tools = ["s3lfs", *(["git-lfs"] if has("git-lfs") else []), "git"]
    if has("rustc"):
        subprocess.run(["rustc", "-O", "-o", work / "idle", Path(__file__).with_name("idle.rs")], check=True)
        tools.append(IDLE)
    for kind, label, add, checkout, status in (
        ("big", f"{big >> 20} MiB, one file", 0.20, 0.45, 0.15),
        ("many", f"{MANY} files of 10 KiB", 0.20, 0.40, 0.40),
    ):
        yield from of_files(shell, work, tools, kind, label, big, add, checkout, status)


def of_files(shell: Shell, work: Path, tools: list[str], kind: str, label: str, big: int, add: float, checkout: float, status: float):
    """The three commands on one set of files: the first case makes it, the last one clears it away."""
    files = work / f"files-{kind}"
    here = {tool: Repository(shell, tool, work / f"{tool.replace(' ', '-')}-{kind}") for tool in tools}

    def begin():
        if not files.exists():
            make_files(files, kind, big)

    def end():
        for repository in here.values():
            shutil.rmtree(repository.at, ignore_errors=True)
            shutil.rmtree(repository.at.with_name(repository.at.name + ".store"), ignore_errors=True)
        shutil.rmtree(files, ignore_errors=True)

    def committed():
        for repository in here.values():
            if not (repository.at / ".git").exists() or not has_files(repository):
                repository.commit(files)

    def has_files(repository):
        return repository.shell(repository.at, "git", "rev-list", "--count", "main").strip() == "2"

    yield begin, Case(f"git add, {label}", add, "git-lfs", {
        tool: (lambda r=r: r.renew(files), lambda r=r: r.git("add", ".")) for tool, r in here.items()
        # Git itself compresses the large file for half a minute: no measure of anything.
        if (kind, tool) != ("big", "git")}, IDLE), None
    if kind == "many":
        ours = here["s3lfs"]
        yield begin, Case(f"s3lfs add, {label}", add, "git-lfs", {
            "s3lfs": (lambda: ours.renew(files), lambda: shell(ours.at, "s3lfs", "add", ".")),
            **{tool: (lambda r=r: r.renew(files), lambda r=r: r.git("add", ".")) for tool, r in here.items() if tool != "s3lfs"}}), None
    yield committed, Case(f"git checkout from the cache, {label}", checkout, "git-lfs", {
        tool: (r.empty, r.full) for tool, r in here.items()}, IDLE if kind == "many" else None), None

    def fresh(repository):
        repository.full()
        # Git then asks the filter again, as it does for files that are as new as its index.
        for path in files.rglob("*.bin"):
            os.utime(repository.at / path.relative_to(files))

    yield committed, Case(f"git status right after, {label}", status, "git-lfs", {
        tool: (lambda r=r: fresh(r), lambda r=r: r.git("status", "--porcelain")) for tool, r in here.items()
        if (kind, tool) != ("big", "git")}, IDLE), end


def scale_cases(shell: Shell, work: Path, count: int):
    """What a repository of very many tracked files costs when nothing changed; the peer is `git status` without the filter."""
    r = Repository(shell, "s3lfs", work / "scale")
    files = work / "files-scale"

    def begin():
        for number in range(count):
            path = files / f"d{number % 1000:03}" / f"{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"content {number}\n")
        r.commit(files)
        shutil.rmtree(files)
        r.git("init", "-q", "--bare", str(work / "scale.git"))
        r.git("remote", "add", "origin", str(work / "scale.git"))
        r.git("push", "-q", "-u", "origin", "main")
        r.git("switch", "-q", "-c", "one-more")
        (r.at / "one-more.bin").write_text("one more\n")
        r.git("add", ".")
        r.git("commit", "-q", "-m", "one more")
        r.git("switch", "-q", "main")
        r.git("status")

    def end():
        for name in ("scale", "scale.store", "scale.git"):
            shutil.rmtree(work / name, ignore_errors=True)

    def nothing():
        pass

    def plain():
        r.git("-c", "filter.s3lfs.process=", "-c", "filter.s3lfs.clean=", "-c", "filter.s3lfs.smudge=", "-c", "filter.s3lfs.required=false",
              "status", "--porcelain")

    for name, target, act in (
        ("git status", 1.1, lambda: r.git("status", "--porcelain")),
        ("s3lfs track-modified --staged", 1.5, lambda: shell(r.at, "s3lfs", "track-modified", "--staged")),
        ("git push of nothing", 1.5, lambda: r.git("push", "-q")),
        # The hook does all that it would do for the push itself.
        ("git push --dry-run of one commit", None, lambda: r.git("push", "-q", "--dry-run", "origin", "one-more")),
        ("s3lfs track-modified", 1.5, lambda: shell(r.at, "s3lfs", "track-modified")),
        ("s3lfs status", None, lambda: shell(r.at, "s3lfs", "status")),
        ("s3lfs status --json", None, lambda: shell(r.at, "s3lfs", "status", "--json")),
        ("s3lfs ls", None, lambda: shell(r.at, "s3lfs", "ls")),
        ("s3lfs ls --json", None, lambda: shell(r.at, "s3lfs", "ls", "--json")),
        ("s3lfs verify", None, lambda: shell(r.at, "s3lfs", "verify")),
        ("s3lfs verify --json", None, lambda: shell(r.at, "s3lfs", "verify", "--json")),
        ("s3lfs fsck", None, lambda: shell(r.at, "s3lfs", "fsck")),
    ):
        last = name == "s3lfs fsck"
        yield (begin if name == "git status" else None), Case(f"{name}, {count} files, nothing changed", target, "git", {
            "s3lfs": (nothing, act), "git": (nothing, plain)}), end if last else None
    yield None, Case("s3lfs --version", None, "git", {
        "s3lfs": (nothing, lambda: shell(work, "s3lfs", "--version")), "git": (nothing, lambda: shell(work, "git", "--version"))}), None


ENTRIES = 200_000


def manifest_cases(shell: Shell, work: Path):
    """The manifest by itself: the merge driver reads three and writes one; the peer is Git's own merge of lines."""
    at = work / "manifests"

    def begin():
        at.mkdir()
        shell(at, "git", "init", "-q")
        files = {f"d{number // 1000:03}/{number:06}.bin": hashlib.sha256(b"%d" % number).hexdigest() for number in range(ENTRIES)}
        names = sorted(files)
        other = hashlib.sha256(b"other").hexdigest()
        for name, change in (("base", {}), ("ours", {names[0]: other}), ("theirs", {names[-1]: other})):
            said = {"bucket_name": "b", "files": files | change, "manifest_only": [], "repo_prefix": "p"}
            (at / name).write_text(json.dumps(said, indent=4, sort_keys=True) + "\n")

    def ready():
        shutil.copy(at / "ours", at / "merged")

    def end():
        shutil.rmtree(at)

    yield begin, Case(f"merge of manifests of {ENTRIES} files", None, "git merge-file", {
        "s3lfs": (ready, lambda: shell(at, "s3lfs", "merge-manifest", "base", "merged", "theirs")),
        "git merge-file": (ready, lambda: shell(at, "git", "merge-file", "merged", "base", "theirs"))}), end
