//! What the doctor found: one line about one part of the set-up, and the commands that mend it.
//!
//! Apart from the examinations because they only find; how a finding is shown, and whether it stops work, is
//! the same for all.

use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::ui;
use crate::cli::ui::colour::{Colour, paint};

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// As it should be.
    Fine,
    /// Good to know.
    Note,
    /// Work goes on, but not as it should.
    Warning,
    /// Work stops here.
    Stops,
}

impl Level {
    /// As it is shown, and in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Level::Fine => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Stops => "stops",
        }
    }

    fn colour(self) -> Colour {
        match self {
            Level::Fine => Colour::Good,
            Level::Note => Colour::Known,
            Level::Warning => Colour::Look,
            Level::Stops => Colour::Bad,
        }
    }
}

/// One finding.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which part was looked at.
    check: &'static str,
    level: Level,
    text: String,
    /// Commands, each whole.
    mend: Vec<String>,
}

impl Finding {
    /// It is as it should be.
    pub fn fine(check: &'static str, text: impl Into<String>) -> Self {
        Finding { check, level: Level::Fine, text: text.into(), mend: Vec::new() }
    }

    /// It is good to know. Only these two can do without a command: nothing is to be mended.
    pub fn note(check: &'static str, text: impl Into<String>) -> Self {
        Finding { level: Level::Note, ..Self::fine(check, text) }
    }

    /// A finding about `check`, with the command that mends it.
    pub fn new(check: &'static str, level: Level, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Finding { level, ..Self::fine(check, text) }.mend(mend)
    }

    /// It should be mended, by this command.
    pub fn warning(check: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(check, Level::Warning, text, mend)
    }

    /// It stops work, until this command has mended it.
    pub fn stops(check: &'static str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(check, Level::Stops, text, mend)
    }

    /// An error of the program's own stops work. Its hints say what to do; `or` does where it has none.
    pub fn refused(check: &'static str, error: impl Into<CliError>, or: impl Into<String>) -> Self {
        let CliError { message, hints, .. } = error.into();
        let finding = Self::stops(check, message, or);
        if hints.is_empty() { finding } else { Finding { mend: hints, ..finding } }
    }

    /// With one more command.
    pub fn mend(mut self, command: impl Into<String>) -> Self {
        self.mend.push(command.into());
        self
    }

    /// With this command, and none of those so far.
    pub fn mend_instead(self, command: impl Into<String>) -> Self {
        Finding { mend: vec![command.into()], ..self }
    }

    /// What was found.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn item(&self) -> Value {
        json!({ "check": self.check, "state": self.level.word(), "message": self.text, "mend": self.mend })
    }

    fn lines(&self) -> String {
        let word = paint(format!("{:8}", self.level.word()), self.level.colour());
        let mut lines = format!("{word} {:14} {}\n", self.check, ui::harmless(&self.text));
        for command in &self.mend {
            lines.push_str(&format!("{:8} {:14} mend: {}\n", "", "", ui::harmless(command)));
        }
        lines
    }
}

/// All findings so far.
pub struct Findings {
    found: Vec<Finding>,
    /// Each is shown as soon as it is found; the network takes its time.
    show: Show,
}

/// Which findings are shown at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Show {
    /// All of them.
    All,
    /// What should be mended.
    Bad,
    /// None: they come as JSON in the end.
    None,
}

impl Findings {
    /// None yet.
    pub fn new(show: Show) -> Self {
        Findings { found: Vec::new(), show }
    }

    /// Add one, and show it.
    pub fn add(&mut self, finding: Finding) -> Result<(), CliError> {
        let shown = match self.show {
            Show::All => true,
            Show::Bad => finding.level >= Level::Warning,
            Show::None => false,
        };
        if shown {
            ui::answer(finding.lines().as_bytes())?;
        }
        self.found.push(finding);
        Ok(())
    }

    /// What came of an examination: one that failed is a finding about `check`, which stops work. What fails like that is
    /// mostly Git, which was asked something.
    pub fn take<T: Default>(&mut self, result: Result<T, CliError>, check: &'static str) -> Result<T, CliError> {
        const OR: &str = "git fsck --connectivity-only # says whether the repository is whole";
        match result {
            Ok(found) => Ok(found),
            Err(e) => self.add(Finding::refused(check, e, OR)).map(|()| T::default()),
        }
    }

    /// Answer in JSON if that was asked for; an error if something stops work.
    pub fn conclude(self) -> Result<(), CliError> {
        let found = self.found;
        let stopping = || found.iter().filter(|finding| finding.level == Level::Stops);
        if self.show == Show::None {
            let errors = stopping().map(|f| json!({ "check": f.check, "error": f.text, "hints": f.mend }));
            ui::answer_json("doctor", found.iter().map(Finding::item), errors)?;
        }
        let warnings = found.iter().filter(|finding| finding.level == Level::Warning).count();
        match (stopping().count(), warnings) {
            (0, 0) => ui::say("Everything is as it should be."),
            (0, n) => ui::say(format!("{} should be mended; nothing stops work.", ui::count(n, "finding"))),
            (1, _) => return Err(CliError::user("1 finding stops work")),
            (n, _) => return Err(CliError::user(format!("{n} findings stop work"))),
        }
        Ok(())
    }
}
