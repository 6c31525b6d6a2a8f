//! Colours of what is shown to people: what is well, what is known, what wants a look, what is wrong.
//!
//! Apart because nobody else decides on a colour. Whether any is shown is decided where it is written: only a
//! terminal gets them, and none where NO_COLOR is set (`anstream`; no-color.org).

use std::fmt::Display;

use clap::builder::styling::{AnsiColor, Style};

/// What a colour means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Colour {
    /// As it should be.
    Good,
    /// Good to know: a name, a state that somebody chose.
    Known,
    /// Somebody should look at it.
    Look,
    /// Wrong.
    Bad,
}

/// `text` in this colour.
pub fn paint(text: impl Display, colour: Colour) -> String {
    let colour = match colour {
        Colour::Good => AnsiColor::Green,
        Colour::Known => AnsiColor::Cyan,
        Colour::Look => AnsiColor::Yellow,
        Colour::Bad => AnsiColor::Red,
    };
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}
