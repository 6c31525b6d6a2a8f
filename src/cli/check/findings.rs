//! What is wrong with content: words for it, and a list of it on the disk, since that may be said of a million.
//!
//! Apart from `verify`, which finds it out.

use std::io::{BufRead, Read};

use crate::cli::check::names::list_failed;
use crate::cli::error::CliError;
use crate::fs::spool::Spool;
use crate::transfer::{Item, PACKED};

/// What is wrong with an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum State {
    /// A reading store has it: it can be read, and is not missing.
    Elsewhere,
    /// It is not there; why `--fix` could not write it, if it was to.
    Missing(Option<String>),
    /// Its bytes are other content; why.
    Damaged(String),
    /// It is the pointer that is wrong: its size is not the content's, which is told where it is known.
    WrongSize(Option<u64>),
    /// It could not be told.
    Unknown(String),
    /// `--fix` put it right.
    Mended,
}

impl State {
    /// As `--json` has it.
    pub fn word(&self) -> &'static str {
        match self {
            State::Elsewhere => "elsewhere",
            State::Missing(_) => "missing",
            State::WrongSize(_) => "wrong size",
            State::Damaged(_) => "damaged",
            State::Unknown(_) => "unknown",
            State::Mended => "mended",
        }
    }

    /// Whether something is to be done about it.
    pub fn is_fault(&self) -> bool {
        !matches!(self, State::Elsewhere | State::Mended)
    }

    /// Whether the store does not give the content back.
    pub fn is_broken(&self) -> bool {
        matches!(self, State::Missing(_) | State::Damaged(_))
    }

    /// In words.
    pub fn why(&self) -> String {
        match self {
            State::Elsewhere => "only a reading store has it".to_owned(),
            State::Mended => "it was mended".to_owned(),
            State::Missing(None) => "it is not in the store".to_owned(),
            State::Missing(Some(why)) => format!("it is not in the store; it can't be mended from here: {why}"),
            State::WrongSize(size) => wrong_size(*size),
            State::Damaged(why) | State::Unknown(why) => why.clone(),
        }
    }
}

/// What the content is, where a pointer says otherwise.
pub fn wrong_size(size: Option<u64>) -> String {
    size.map_or("the content has another size".to_owned(), |size| format!("the content has {size} bytes"))
}

/// Content, which state, and a size or the place of a text.
const RECORD: usize = PACKED + 1 + 8;

/// States, in the order of the content. Of what is well nothing is said.
#[derive(Debug, Default)]
pub struct Findings {
    list: Spool,
    texts: Spool,
    /// Many fail for one reason: that is written once.
    last: Option<(String, u64)>,
}

impl Findings {
    /// One more. It must come behind all others.
    pub fn push(&mut self, item: &Item, state: &State) -> Result<(), CliError> {
        let (tag, more) = match state {
            State::Elsewhere => (0, 0),
            State::Missing(None) => (1, 0),
            State::Missing(Some(why)) => (2, self.text(why)?),
            State::Damaged(why) => (3, self.text(why)?),
            State::WrongSize(None) => (4, 0),
            State::WrongSize(Some(size)) => (5, *size),
            State::Unknown(why) => (6, self.text(why)?),
            State::Mended => (7, 0),
        };
        let mut record = [0; RECORD];
        record[..PACKED].copy_from_slice(&item.packed());
        record[PACKED] = tag;
        record[PACKED + 1..].copy_from_slice(&u64::to_be_bytes(more));
        self.list.write(&record).map(drop).map_err(list_failed)
    }

    fn text(&mut self, text: &str) -> Result<u64, CliError> {
        if let Some((last, place)) = &self.last
            && last == text
        {
            return Ok(*place);
        }
        let place = self.texts.write_field(text.as_bytes()).map_err(list_failed)?;
        self.last = Some((text.to_owned(), place));
        Ok(place)
    }

    /// From the first one on.
    pub fn read(&mut self) -> Result<Reading<'_>, CliError> {
        let list = Box::new(self.list.read_from(0).map_err(list_failed)?);
        let mut reading = Reading { list, texts: &mut self.texts, next: None };
        reading.advance()?;
        Ok(reading)
    }
}

/// [`Findings`], being read beside something else in the same order.
pub struct Reading<'a> {
    list: Box<dyn BufRead + 'a>,
    texts: &'a mut Spool,
    next: Option<(Item, [u8; RECORD])>,
}

impl Reading<'_> {
    /// What was found of this content, which must not come before what was asked about last. `None`: it is well.
    pub fn of(&mut self, item: &Item) -> Result<Option<State>, CliError> {
        while self.next.as_ref().is_some_and(|(next, _)| next < item) {
            self.advance()?;
        }
        let Some((_, record)) = self.next.filter(|(next, _)| next == item) else { return Ok(None) };
        let more = u64::from_be_bytes(record[PACKED + 1..].try_into().expect("8 bytes of a number"));
        let mut text = || -> Result<String, CliError> {
            let (text, _) = self.texts.field_at(more).map_err(list_failed)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        Ok(Some(match record[PACKED] {
            0 => State::Elsewhere,
            1 => State::Missing(None),
            2 => State::Missing(Some(text()?)),
            3 => State::Damaged(text()?),
            4 => State::WrongSize(None),
            5 => State::WrongSize(Some(more)),
            6 => State::Unknown(text()?),
            _ => State::Mended,
        }))
    }

    fn advance(&mut self) -> Result<(), CliError> {
        self.next = None;
        if !self.list.fill_buf().map_err(list_failed)?.is_empty() {
            let mut record = [0; RECORD];
            self.list.read_exact(&mut record).map_err(list_failed)?;
            self.next = Some((Item::unpacked(&record), record));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oid::Oid;

    #[test]
    fn what_was_found_of_some_is_read_beside_all() {
        let text = |text: &str| text.to_owned();
        let states = [
            State::Elsewhere,
            State::Missing(None),
            State::Missing(Some(text("one"))),
            State::Damaged(text("two")),
            State::WrongSize(None),
            State::WrongSize(Some(u64::MAX)),
            State::Unknown(text("two")),
            State::Unknown(text("three")),
            State::Mended,
        ];
        let mut items: Vec<Item> = (0..100_u8).map(|n| Item::from(Oid::of(&[n]))).collect();
        items.sort_unstable();
        let of = |at: usize| (at % 3 == 1).then(|| &states[at / 3 % states.len()]);
        let mut findings = Findings::default();
        for (at, item) in items.iter().enumerate() {
            assert!(of(at).is_none_or(|state| findings.push(item, state).is_ok()));
        }
        for _ in 0..2 {
            let mut reading = findings.read().unwrap_or_else(|e| panic!("{}", e.message));
            for (at, item) in items.iter().enumerate().filter(|(at, _)| at % 5 != 0) {
                assert_eq!(reading.of(item).ok().flatten().as_ref(), of(at), "also where some are passed over");
            }
        }
        let mut offline = Findings::default();
        assert!(items.iter().all(|item| offline.push(item, &State::Unknown(text("no route"))).is_ok()));
        assert_eq!(offline.texts.written() as usize, 4 + "no route".len(), "what is said of all is written once");
    }
}
