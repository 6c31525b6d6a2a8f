"""Three clones of one repository at work, at random: nothing that was committed may be lost.

    python3 tests/wild                           ten runs of 400 steps with a release build (2 to 5 minutes)
    python3 tests/wild --seeds 100 --first 7     runs 7 to 106
    python3 tests/wild --seeds 1 --first 23 --keep    one again, and what it leaves is kept

The steps are what people do: write, commit, push, pull with a merge or a rebase, switch, cherry-pick, stash, reset, amend,
gc, sparse checkout, prune, cleanup, verify and fsck with --fix; and what happens to them: kill -9 of Git and s3lfs in the
middle, an index, a manifest or the record of uploads that is lost, conflicts that are given up or resolved anyhow. In the
end each pointer that any commit or stash of a clone names, and each that a fresh clone gets, must bring the bytes that were
written; and each branch must go through the push gate.

Not in the suite, since a kill after so many seconds is another step each time: what fails once need not fail again. The log
of a run that failed is kept."""
import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
CLONES = ["one", "two", "three"]
NAMES = ["a.bin", "b.bin", "d/c.bin", "d/e/f.bin", "with space.bin", "\u00e9.bin"]
HANGS = 300
"""Seconds after which a command is said to hang."""


class Lost(Exception):
    """What must hold does not."""


class World:
    """A remote, a store, the clones, and all content that was ever written."""

    def __init__(self, root, binaries, seed):
        self.root, self.random = root, random.Random(seed)
        self.known = {}
        (root / "home").mkdir(parents=True)
        self.log = open(root / "log", "w", encoding="utf-8")
        who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
        self.env = {"PATH": f"{binaries}:{os.environ['PATH']}", "HOME": str(root / "home"), "GIT_CONFIG_NOSYSTEM": "1",
                    "GIT_EDITOR": "true", "GIT_MERGE_AUTOEDIT": "no", "LC_ALL": "C.UTF-8", **who}

    def run(self, clone, *words, kill=None):
        """Run it in a clone: its exit code, and what it said. `kill`: after so many seconds, with all that it started."""
        self.log.write(f"[{clone}] {' '.join(words)} kill={kill}\n")
        self.log.flush()
        ran = subprocess.Popen(words, cwd=self.root / clone, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
        try:
            said = ran.communicate(timeout=kill or HANGS)[0]
        except subprocess.TimeoutExpired:
            os.killpg(ran.pid, signal.SIGKILL)
            said = ran.communicate()[0]
            if kill is None:
                raise Lost(f"{clone}: {' '.join(words)} hangs") from None
        said = said.decode(errors="replace")
        self.log.write(f"{said[-4000:]}-> {ran.returncode}\n")
        return ran.returncode, said

    def must(self, clone, *words):
        """As `run`, of what has to succeed: what it said."""
        code, said = self.run(clone, *words)
        if code != 0:
            raise Lost(f"{clone}: {' '.join(words)} ended with {code}: {said[-1000:]}")
        return said

    def begin(self):
        """Make the repository, the store, the remote and the other clones."""
        one = CLONES[0]
        (self.root / one).mkdir()
        self.must(one, "git", "init", "-q", "-b", "main")
        self.must(one, "git", "init", "-q", "--bare", "-b", "main", "../origin.git")
        self.must(one, "s3lfs", "init", f"file://{self.root}/store", "proj")
        self.must(one, "s3lfs", "git-setup", "--track", "*.bin")
        self.must(one, "git", "remote", "add", "origin", f"{self.root}/origin.git")
        self.must(one, "git", "add", ".")
        self.must(one, "git", "commit", "-qm", "set up")
        self.must(one, "git", "push", "-qu", "origin", "main")
        for other in CLONES[1:]:
            self.must(".", "s3lfs", "clone", f"{self.root}/origin.git", other)

    def write(self, clone):
        """New content under one of the names."""
        size = self.random.choice([0, 10, 700, 5_000, 200_000, 3_000_000])
        noise, line = self.random.randbytes(size), b"line %d\n" % self.random.randrange(99)
        content = noise if self.random.random() < 0.6 else line * (size // 8)
        self.known[hashlib.sha256(content).hexdigest()] = content
        path = self.root / clone / self.random.choice(NAMES)
        # Where a directory is, or a file in the place of one, nothing is written.
        if path.is_dir() or path.parent.is_file():
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def unlock(self, clone):
        """What Git leaves when it is killed, and asks the user to take away."""
        for lock in (self.root / clone / ".git").rglob("*.lock"):
            if "s3lfs" not in lock.parts:
                lock.unlink(missing_ok=True)

    def give_up(self, clone):
        """Whatever operation is in progress."""
        self.unlock(clone)
        for operation in ["rebase", "merge", "cherry-pick", "revert"]:
            self.run(clone, "git", operation, "--abort")

    def resolve_anyhow(self, clone, step):
        """Take one side of every conflict, or give up."""
        if self.random.random() < 0.5:
            self.run(clone, "git", "checkout", "-q", self.random.choice(["--ours", "--theirs"]), ".")
            self.run(clone, "git", "add", "-A")
            self.run(clone, "git", "commit", "-qm", f"resolved {step}")
        self.give_up(clone)

    def branches(self, clone):
        """Its own, and those of the remote."""
        listed = self.run(clone, "git", "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes")[1].split()
        return [ref for ref in listed if ref.startswith("refs/") and not ref.endswith("/HEAD")] or ["HEAD"]

    def clean_up(self, clone, kill):
        """A cleanup with no age at all. What was uploaded and not pushed is garbage to it, and by design.md a push may go by
        a record of the last days: so much time is over, as far as the clones know."""
        self.run(clone, "s3lfs", "cleanup", "--fetch", "--keep-newer", "0d", "--force", kill=kill)
        for one in CLONES:
            shutil.rmtree(self.root / one / ".git/s3lfs/uploaded", ignore_errors=True)

    def lose(self, clone, what):
        """A file of the clone."""
        (self.root / clone / what).unlink(missing_ok=True)

    def step(self, number):
        """Something, in one of the clones, and perhaps only a part of it."""
        clone = self.random.choice(CLONES)
        some = lambda: self.random.random() * 0.4 if self.random.random() < 0.2 else None
        kill, pick = some(), self.random.choice

        def git(*words):
            code = self.run(clone, "git", *words, kill=kill)[0]
            self.unlock(clone)
            return code

        def s3lfs(*words):
            self.run(clone, "s3lfs", *words, kill=kill)
            self.unlock(clone)

        def conflicting(*words):
            if git(*words) != 0:
                self.resolve_anyhow(clone, number)

        def commit():
            self.write(clone)
            self.run(clone, "git", "add", "-A", kill=some())
            git("commit", "-qm", f"commit {number}")

        def switch():
            self.run(clone, "git", "fetch", "-q", "origin")
            to = pick(self.branches(clone))
            git("checkout", "-q", to.removeprefix("refs/heads/"))

        does = [
            (14, commit),
            (6, lambda: self.write(clone)),
            (7, lambda: git("push", "-q", "origin", "HEAD")),
            (7, lambda: conflicting("pull", "-q", pick(["--no-rebase", "--rebase"]), "origin", "main")),
            (3, switch),
            (2, lambda: conflicting("merge", "-q", pick(self.branches(clone)))),
            (1, lambda: git("checkout", "-q", "-b", f"branch-{number}")),
            (1, lambda: conflicting("rebase", "-q", "origin/main")),
            (1, lambda: conflicting("cherry-pick", "origin/main")),
            (1, lambda: git("stash", "-q", "-u")),
            (1, lambda: git("stash", "pop", "-q")),
            (1, lambda: git("reset", "-q", "HEAD~1")),
            (1, lambda: git("reset", "-q", "--hard", pick(["HEAD", "HEAD~1", "origin/main"]))),
            (1, lambda: git("checkout", "-q", "-f", "HEAD")),
            (1, lambda: (self.write(clone), git("commit", "-qa", "--amend", "-m", f"amended {number}"))),
            (1, lambda: git("gc", "-q", "--prune=now")),
            (1, lambda: git("rm", "-q", "-f", pick(NAMES))),
            (1, lambda: git("mv", pick(NAMES), f"moved-{number}.bin")),
            (1, lambda: git("status", "-s")),
            (1, lambda: git("worktree", "add", "-q", "-f", f"../{clone}-{number}", "HEAD")),
            (1, lambda: s3lfs("track-modified")),
            (1, lambda: (self.write(clone), s3lfs("upload", pick(NAMES)))),
            (1, lambda: s3lfs("status")),
            (1, lambda: s3lfs("fsck", *pick([[], ["--fix"]]))),
            (1, lambda: s3lfs("verify", "--all", *pick([[], ["--fix"]]))),
            (1, lambda: s3lfs("download-all", *pick([[], ["--force"]]))),
            (1, lambda: s3lfs("sparse-checkout", pick(["d", "."]))),
            (2, lambda: s3lfs("prune")),
            (2, lambda: self.clean_up(clone, kill)),
            (1, lambda: (self.lose(clone, ".git/index"), self.run(clone, "git", "reset", "-q"))),
            (1, lambda: self.lose(clone, ".s3_manifest.json")),
            (1, lambda: shutil.rmtree(self.root / clone / ".git/s3lfs/uploaded", ignore_errors=True)),
        ]
        weights, calls = zip(*does)
        self.random.choices(calls, weights)[0]()

    def everything_is_there(self, clone, *revisions):
        """Whether each pointer of these commits brings what was written: how many there are."""
        pointers = {}
        for commit in self.must(clone, "git", "rev-list", *revisions).split():
            for entry in self.must(clone, "git", "ls-tree", "-r", "-z", commit).split("\0"):
                meta, _, path = entry.partition("\t")
                if path.endswith(".bin"):
                    pointers.setdefault(meta.split()[2], (commit, path))
        for blob, (commit, path) in pointers.items():
            ask = lambda words, data, env: subprocess.run(words, cwd=self.root / clone, env=env, input=data, capture_output=True)
            pointer = ask(["git", "cat-file", "blob", blob], b"", self.env).stdout
            if not pointer:
                continue
            if not pointer.startswith(b"version s3lfs/1\n"):
                raise Lost(f"{clone}: {path} of {commit} is raw in Git")
            # A commit without the manifest, which was lost above, does not say where.
            env = {**self.env, "S3LFS_BUCKET": f"file://{self.root}/store", "S3LFS_REPO_PREFIX": "proj"}
            brought = ask(["s3lfs", "smudge", path], pointer, env)
            oid = pointer.split(b"sha256:")[1].split()[0].decode()
            if brought.returncode != 0 or brought.stdout != self.known[oid]:
                raise Lost(f"{clone}: {path} of {commit}, {oid}: {brought.stderr.decode(errors='replace')[-500:]}")
        return len(pointers)

    def end(self):
        """Look at everything; how many versions of files there were."""
        count = 0
        for clone in CLONES:
            self.give_up(clone)
            self.run(clone, "git", "reset", "-q")
            (self.root / clone / ".git/s3lfs/sparse").unlink(missing_ok=True)
            stashes = self.must(clone, "git", "stash", "list", "--format=%H").split()
            count += self.everything_is_there(clone, "--all", *stashes)
            for branch in self.must(clone, "git", "for-each-ref", "--format=%(refname)", "refs/heads").split():
                self.must(clone, "git", "push", "-q", "-f", "origin", f"{branch}:refs/heads/{clone}-{Path(branch).name}")
        self.run(".", "s3lfs", "clone", f"{self.root}/origin.git", "fresh")
        return count + self.everything_is_there("fresh", "--remotes")


def main():
    parser = argparse.ArgumentParser(prog="tests/wild", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--seeds", type=int, default=10, help="how many runs (10)")
    parser.add_argument("--steps", type=int, default=400, help="steps of each (400)")
    parser.add_argument("--s3lfs", type=Path, metavar="BINARY", help="else target/release/s3lfs, built first")
    parser.add_argument("--keep", action="store_true", help="keep what is left, also where all went well")
    given = parser.parse_args()
    if given.s3lfs is None:
        subprocess.run(["cargo", "build", "--release", "--locked", "--bins"], cwd=PROJECT, check=True)
    binary = (given.s3lfs or PROJECT / "target/release/s3lfs").resolve()
    memory = Path("/dev/shm")
    top = Path(tempfile.mkdtemp(prefix="s3lfs-wild-", dir=memory if os.access(memory, os.W_OK) else None))
    failed = 0
    for seed in range(given.first, given.first + given.seeds):
        world = World(top / str(seed), binary.parent, seed)
        try:
            world.begin()
            for number in range(given.steps):
                world.step(number)
            print(f"run {seed}: {given.steps} steps, {world.end()} versions, all there", flush=True)
        except Lost as why:
            failed += 1
            print(f"run {seed}: {why}\n  see {world.root}/log", file=sys.stderr, flush=True)
            continue
        if not given.keep:
            shutil.rmtree(world.root)
    if failed == 0 and not given.keep:
        shutil.rmtree(top)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
