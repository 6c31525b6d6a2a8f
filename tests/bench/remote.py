"""The same files to and from an S3 service, with s3lfs as its users run it (commit, download-all, clone) and with `s5cmd cp`,
which copies them as they are and checks nothing. Then again over a line with latency, or a bandwidth."""
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

from measure import Case, Shell, copied, csv_file, random_file

MANY, EACH = 2_000, 10 << 10
FLOOR = "s5cmd beside a hash and a copy"


class Line:
    """tests/bench/line.py in front of the service, for as long as it is open."""

    def __init__(self, upstream: str, rtt_ms: int, mbit: int):
        self.command = [sys.executable, str(Path(__file__).with_name("line.py")), upstream, str(rtt_ms), str(mbit)]

    def open(self) -> str:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True)
        return self.process.stdout.readline().strip()

    def close(self):
        self.process.terminate()
        self.process.wait()


class Remote:
    """One set of files, with its repository, bucket and the line to it."""

    def __init__(self, shell: Shell, work: Path, endpoint: str, bucket: str, files: Path):
        self.shell, self.work, self.endpoint, self.files, self.bucket, self.prefix = shell, work, endpoint, files, bucket, ""
        self.at, self.clone, self.origin, self.down = work / "up", work / "clone", work / "origin.git", work / "down"

    def s5(self, *words, where=None):
        self.shell(where or self.work, "s5cmd", "--endpoint-url", self.endpoint, *words)

    def git(self, *words, where=None):
        self.shell(where or self.at, "git", *words)

    def added(self):
        """A new place in the bucket, and a new repository in which everything is added, not committed."""
        self.s5_ready()
        self.at.mkdir(parents=True)
        self.git("init", "-q")
        self.shell(self.at, "s3lfs", "--endpoint-url", self.endpoint, "init", "--sse", "none", self.bucket, self.prefix)
        self.shell(self.at, "s3lfs", "git-setup")
        self.shell(self.at, "s3lfs", "track", "*.bin", "*.csv")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "settings")
        copied(self.files, self.at)
        self.git("add", ".")

    def commit(self):
        self.git("commit", "-q", "-m", "files")

    def s5_ready(self):
        self.clear()
        self.prefix = uuid.uuid4().hex[:12]

    def s5_up(self):
        self.s5("cp", f"{self.files}/", f"s3://{self.bucket}/raw/{self.prefix}/")

    def published(self):
        """Committed, pushed, and copied by the peer as well."""
        self.added()
        self.commit()
        self.git("init", "-q", "--bare", str(self.origin), where=self.work)
        self.git("remote", "add", "origin", str(self.origin))
        self.git("push", "-q", "-u", "origin", "main")
        self.s5_up()

    def pointers(self):
        shutil.rmtree(self.clone, ignore_errors=True)
        self.git("clone", "-q", str(self.origin), str(self.clone), where=self.work)
        self.shell(self.clone, "s3lfs", "git-setup")

    def no_clone(self):
        shutil.rmtree(self.clone, ignore_errors=True)

    def download_all(self):
        self.shell(self.clone, "s3lfs", "download-all")

    def plain_clone(self):
        self.git("-c", "filter.s3lfs.process=s3lfs filter-process", "-c", "filter.s3lfs.required=true",
                 "-c", f"s3lfs.trust=s3://{self.bucket}/**?endpoint={self.endpoint}",
                 "clone", "-q", str(self.origin), str(self.clone), where=self.work)

    def s5_empty(self):
        shutil.rmtree(self.down, ignore_errors=True)
        self.down.mkdir(parents=True)

    def s5_down(self):
        self.s5("cp", f"s3://{self.bucket}/raw/{self.prefix}/*", f"{self.down}/")

    def s5_down_hashed_and_copied(self):
        """What nobody who checks and caches does without, on the same processors: a hash, and a second copy."""
        s5 = f"s5cmd --endpoint-url {self.endpoint} cp 's3://{self.bucket}/raw/{self.prefix}/*' {self.down}/"
        self.shell(self.work, "sh", "-e", "-c", f"{s5} & s5=$!; cp {self.files}/big.bin {self.down}/copy; "
                   f"openssl dgst -sha256 {self.files}/big.bin; wait $s5")

    def clear(self):
        for folder in (self.at, self.clone, self.origin, self.down):
            shutil.rmtree(folder, ignore_errors=True)


def cases(shell: Shell, work: Path, service: str, big: int):
    csv = big >> 1
    # One for all cases: SeaweedFS gives each bucket volumes of its own, of which a small disk has few.
    bucket = f"bench-{uuid.uuid4().hex[:12]}"
    shell(work, "s5cmd", "--endpoint-url", service, "mb", f"s3://{bucket}")
    for kind, label, rtt, mbit, up, down, clone in (
        ("many", f"{MANY} files of 10 KiB", 0, 0, 1.2, 1.2, 1.5),
        ("many", f"{MANY} files of 10 KiB, 20 ms away", 20, 0, 1.2, 1.2, 1.5),
        ("many", f"{MANY} files of 10 KiB, 100 ms away", 100, 0, 1.2, 1.2, 1.5),
        ("big", f"{big >> 20} MiB random, one file", 0, 0, 1.2, 1.2, None),
        ("big", f"{big >> 20} MiB random, one file, 20 ms away", 20, 0, 1.2, 1.2, None),
        ("csv", f"{csv >> 20} MiB of CSV, 400 Mbit/s", 0, 400, 0.5, 0.5, None),
    ):
        yield from over_line(shell, work, service, bucket, kind, label, big, rtt, mbit, up, down, clone)


def over_line(shell: Shell, work: Path, service: str, bucket: str, kind: str, label: str, big: int, rtt: int, mbit: int, up: float, down: float, clone):
    """One set of files over one line: the first case makes both, the last one clears them away."""
    files = work / f"remote-{kind}"
    line = Line(service, rtt, mbit) if rtt or mbit else None
    r = Remote(shell, work, service, bucket, files)

    def begin():
        if not files.exists():
            if kind == "many":
                for number in range(MANY):
                    random_file(files / f"d{number % 50:02}" / f"{number}.bin", EACH)
            elif kind == "big":
                random_file(files / "big.bin", big)
            else:
                csv_file(files / "table.csv", big >> 1)
        if line:
            r.endpoint = line.open()

    def end():
        r.clear()
        shutil.rmtree(files, ignore_errors=True)
        if line:
            line.close()

    yield begin, Case(f"upload at commit, {label}", up, "s5cmd", {
        "s3lfs": (r.added, r.commit), "s5cmd": (r.s5_ready, r.s5_up)}), None
    floor = {FLOOR: (r.s5_empty, r.s5_down_hashed_and_copied)} if kind == "big" and shutil.which("openssl") else {}
    yield r.published, Case(f"download-all, {label}", down, "s5cmd", {
        "s3lfs": (r.pointers, r.download_all), "s5cmd": (r.s5_empty, r.s5_down), **floor}, FLOOR), None if clone else end
    if clone:
        yield None, Case(f"plain git clone, {label}", clone, "s5cmd", {
            "s3lfs": (r.no_clone, r.plain_clone), "s5cmd": (r.s5_empty, r.s5_down)}), end
