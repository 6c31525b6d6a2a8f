//! Git's side of the conversation: packets, lists, requests, answers, with a deadline on each.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Beyond this the other side hangs; nothing comes near it on any machine.
const DEADLINE: Duration = Duration::from_secs(60);
/// The largest payload and the largest packet that Git accepts.
pub const MAX_DATA: usize = 65516;
const MAX_PACKET: usize = 65520;

/// The welcome of Git's half of the handshake, and its capabilities.
pub const WELCOME: &[u8] = b"0016git-filter-client\n000eversion=2\n0000";
pub const CAPABILITIES: &[u8] = b"0015capability=clean\n0016capability=smudge\n0015capability=delay\n0000";
/// Ours.
pub const WELCOME_BACK: &[u8] = b"0016git-filter-server\n000eversion=2\n0000";

/// What one request is answered with.
#[derive(PartialEq, Eq)]
pub enum Answer {
    /// `status=success`, this content, and an empty last list.
    Success(Vec<u8>),
    /// `status=success`, this content, and then `status=error`: Git throws the content away.
    TakenBack(Vec<u8>),
    /// `status=error`
    Error,
    /// `status=delayed`
    Delayed,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| match bytes.len() {
            0..200 => String::from_utf8_lossy(bytes).into_owned(),
            len => format!("{len} bytes"),
        };
        match self {
            Answer::Success(content) => write!(f, "Success({:?})", text(content)),
            Answer::TakenBack(content) => write!(f, "TakenBack({:?})", text(content)),
            Answer::Error => f.write_str("Error"),
            Answer::Delayed => f.write_str("Delayed"),
        }
    }
}

/// A success with this content.
pub fn success(content: impl AsRef<[u8]>) -> Answer {
    Answer::Success(content.as_ref().to_vec())
}

/// How a filter process ended.
#[derive(Debug)]
pub struct End {
    /// Exit code.
    pub code: Option<i32>,
    /// What was on stdout after the last answer that was read.
    pub rest: Vec<u8>,
    pub stderr: String,
}

impl End {
    /// It ended as it should after its last answer; what it said to the user.
    pub fn well(self) -> String {
        assert!(self.rest.is_empty(), "nothing follows the last answer: {self:?}");
        assert_eq!(self.code, Some(0), "an end of input between requests is a success: {self:?}");
        self.stderr
    }

    /// It broke off, and sent nothing after the last answer that was read.
    pub fn badly(self) -> String {
        assert!(self.rest.is_empty(), "no byte is sent for a broken request: {self:?}");
        assert!(self.code.is_some_and(|code| code != 0), "the exit code tells: {self:?}");
        self.stderr
    }
}

/// A process that speaks the filter's side, with this test at Git's end of its pipes.
pub struct Filter {
    child: Child,
    input: Option<ChildStdin>,
    output: Option<ChildStdout>,
    unread: Vec<u8>,
    stderr: tempfile::NamedTempFile,
}

/// No filter outlives its test.
impl Drop for Filter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether `fd` becomes ready within `time`.
fn ready(fd: &impl AsFd, flags: PollFlags, time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(fd, flags)], Some(&left)) {
            Err(rustix::io::Errno::INTR) => {}
            ready => return ready.unwrap() > 0,
        }
    }
}

/// One packet.
pub fn packet(data: &[u8]) -> Vec<u8> {
    [format!("{:04x}", data.len() + 4).as_bytes(), data].concat()
}

/// Text packets with an LF each, and a flush.
pub fn list(lines: &[&[u8]]) -> Vec<u8> {
    let mut bytes: Vec<u8> = lines.iter().flat_map(|line| packet(&[line, b"\n".as_slice()].concat())).collect();
    bytes.extend(b"0000");
    bytes
}

/// Content packets as large as they may be, and a flush.
pub fn content_packets(content: &[u8]) -> Vec<u8> {
    let mut bytes: Vec<u8> = content.chunks(MAX_DATA).flat_map(packet).collect();
    bytes.extend(b"0000");
    bytes
}

impl Filter {
    pub fn start(mut command: Command) -> Self {
        let stderr = tempfile::NamedTempFile::new().unwrap();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr.reopen().unwrap());
        let mut child = command.spawn().expect("it starts");
        let (input, output) = (child.stdin.take(), child.stdout.take());
        Filter { child, input, output, unread: Vec::new(), stderr }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Bytes as they are. A filter that no longer reads them shows in what it answers.
    pub fn send(&mut self, bytes: &[u8]) {
        let input = self.input.as_mut().expect("the input is still open");
        // A pipe that is ready takes PIPE_BUF bytes without blocking.
        for piece in bytes.chunks(4096) {
            assert!(ready(input, PollFlags::OUT, DEADLINE), "the filter reads what it is sent");
            match input.write_all(piece) {
                Err(e) if e.kind() == ErrorKind::BrokenPipe => return,
                written => written.unwrap(),
            }
        }
    }

    /// One packet.
    pub fn send_packet(&mut self, data: &[u8]) {
        self.send(&packet(data));
    }

    /// `0000`
    pub fn flush(&mut self) {
        self.send(b"0000");
    }

    /// Text packets with an LF each, and a flush.
    pub fn send_list(&mut self, lines: &[&[u8]]) {
        self.send(&list(lines));
    }

    /// Content packets as large as they may be, and a flush.
    pub fn send_content(&mut self, content: &[u8]) {
        self.send(&content_packets(content));
    }

    /// The header of a request, with more lines after the first two.
    pub fn request(&mut self, command: &str, pathname: impl AsRef<[u8]>, more: &[&str]) {
        let command = format!("command={command}");
        let pathname = [b"pathname=", pathname.as_ref()].concat();
        let mut lines = vec![command.as_bytes(), &pathname];
        lines.extend(more.iter().map(|line| line.as_bytes()));
        self.send_list(&lines);
    }

    /// Whether no byte arrives for a while.
    pub fn is_silent(&self) -> bool {
        let output = self.output.as_ref().expect("the output is still open");
        self.unread.is_empty() && !ready(output, PollFlags::IN, Duration::from_millis(300))
    }

    fn fill(&mut self, len: usize) -> bool {
        let output = self.output.as_mut().expect("the output is still open");
        let mut piece = vec![0; 64 << 10];
        while self.unread.len() < len {
            assert!(ready(output, PollFlags::IN, DEADLINE), "the filter answers");
            match output.read(&mut piece).unwrap() {
                0 => return false,
                n => self.unread.extend(&piece[..n]),
            }
        }
        true
    }

    /// The next packet, checked; `None`: a flush.
    pub fn read_packet(&mut self) -> Option<Vec<u8>> {
        if !self.fill(4) {
            panic!("the filter went away after {:?}: {}", self.unread, self.stderr());
        }
        let prefix: Vec<u8> = self.unread.drain(..4).collect();
        let lower_hex = prefix.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        assert!(lower_hex, "{:?} is a packet length", String::from_utf8_lossy(&prefix));
        let len = usize::from_str_radix(std::str::from_utf8(&prefix).unwrap(), 16).unwrap();
        assert_ne!(len, 4, "Git takes the empty packet for an end of content");
        assert!(len == 0 || (5..=MAX_PACKET).contains(&len), "a packet of {len} bytes is none that Git accepts");
        if len == 0 {
            return None;
        }
        assert!(self.fill(len - 4), "a packet is as long as it says");
        Some(self.unread.drain(..len - 4).collect())
    }

    /// Text lines up to a flush, without the one LF that each of them ends in.
    pub fn read_list(&mut self) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        while let Some(mut line) = self.read_packet() {
            assert_eq!(line.pop(), Some(b'\n'), "a text line ends in LF");
            lines.push(line);
        }
        lines
    }

    /// Content up to a flush, packet by packet.
    pub fn each_packet(&mut self, mut see: impl FnMut(&[u8])) {
        while let Some(data) = self.read_packet() {
            see(&data);
        }
    }

    /// Content up to a flush.
    pub fn read_content(&mut self) -> Vec<u8> {
        let mut content = Vec::new();
        self.each_packet(|data| content.extend(data));
        content
    }

    /// Both halves of the handshake; the capabilities that were agreed on.
    pub fn handshake(&mut self, capabilities: &[&str]) -> Vec<String> {
        self.send(WELCOME);
        assert_eq!(self.read_list(), [b"git-filter-server".as_slice(), b"version=2"], "the welcome back");
        let lines: Vec<_> = capabilities.iter().map(|name| format!("capability={name}")).collect();
        self.send_list(&lines.iter().map(|line| line.as_bytes()).collect::<Vec<_>>());
        let agreed = self.read_list();
        let name = |line: Vec<u8>| String::from_utf8(line).unwrap().strip_prefix("capability=").map(str::to_owned);
        agreed.into_iter().map(|line| name(line).expect("a capability")).collect()
    }

    /// The answer to one request, read to its end.
    pub fn answer(&mut self) -> Answer {
        let status = self.read_list();
        match status.as_slice() {
            [status] if status == b"status=error" => Answer::Error,
            [status] if status == b"status=delayed" => Answer::Delayed,
            [status] if status == b"status=success" => {
                let content = self.read_content();
                match self.read_list().as_slice() {
                    [] => Answer::Success(content),
                    [status] if status == b"status=error" => Answer::TakenBack(content),
                    other => panic!("{other:?} is no last list"),
                }
            }
            other => panic!("{other:?} is no status"),
        }
    }

    pub fn clean(&mut self, pathname: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> Answer {
        self.request("clean", pathname, &[]);
        self.send_content(content.as_ref());
        self.answer()
    }

    /// A smudge that has to be answered now.
    pub fn smudge(&mut self, pathname: impl AsRef<[u8]>, blob: impl AsRef<[u8]>) -> Answer {
        self.request("smudge", pathname, &["blob=ce013625030ba8dba906f756967f9e9ca394464a"]);
        self.send_content(blob.as_ref());
        self.answer()
    }

    /// A smudge that may be answered later.
    pub fn smudge_can_delay(&mut self, pathname: impl AsRef<[u8]>, blob: impl AsRef<[u8]>) -> Answer {
        self.request("smudge", pathname, &["blob=ce013625030ba8dba906f756967f9e9ca394464a", "can-delay=1"]);
        self.send_content(blob.as_ref());
        self.answer()
    }

    /// `list_available_blobs`: the paths that may be asked for.
    pub fn list(&mut self) -> Vec<Vec<u8>> {
        self.send_list(&[b"command=list_available_blobs"]);
        self.read_available()
    }

    /// The answer to `list_available_blobs`.
    pub fn read_available(&mut self) -> Vec<Vec<u8>> {
        let lines = self.read_list();
        assert_eq!(self.read_list(), [b"status=success"], "a list is always a success");
        lines.into_iter().map(|line| line.strip_prefix(b"pathname=").expect("a pathname").to_vec()).collect()
    }

    /// Git asks again for a delayed path: no content, no leave to delay.
    pub fn retry(&mut self, pathname: impl AsRef<[u8]>) -> Answer {
        self.smudge(pathname, b"")
    }

    /// Git's whole round: list and retry until nothing is left; paths and answers in the order in
    /// which they were listed.
    pub fn collect_delayed(&mut self) -> Vec<(String, Answer)> {
        let mut answers = Vec::new();
        loop {
            let listed = self.list();
            if listed.is_empty() {
                return answers;
            }
            for path in listed {
                let answer = self.retry(&path);
                answers.push((String::from_utf8(path).unwrap(), answer));
            }
        }
    }

    /// What was said to the user so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.stderr.path()).unwrap()).into_owned()
    }

    /// Close both pipes, as Git's death does, and see whether the process goes.
    pub fn hang_up(mut self) -> Option<i32> {
        drop((self.input.take(), self.output.take()));
        wait_until(Duration::from_secs(5), || self.child.try_wait().unwrap())
            .unwrap_or_else(|| panic!("the filter stayed after Git went: {}", self.stderr()))
            .code()
    }

    /// Close the input; everything until the process is gone.
    pub fn finish(mut self) -> End {
        drop(self.input.take());
        while self.fill(self.unread.len() + 1) {}
        let status = wait_until(DEADLINE, || self.child.try_wait().unwrap()).expect("it ends after its input");
        End { code: status.code(), rest: std::mem::take(&mut self.unread), stderr: self.stderr() }
    }
}

/// Look again and again until there is something to see.
pub fn wait_until<T>(time: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + time;
    loop {
        let seen = look();
        if seen.is_some() || Instant::now() > end {
            return seen;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
