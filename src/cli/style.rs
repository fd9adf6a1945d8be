//! How output looks: colour where it is welcome, and how wide the terminal is.

use std::io::IsTerminal;
use std::sync::OnceLock;

use clap::ValueEnum;

/// A terminal that says it is narrower is taken to be this wide: columns of two letters tell nothing.
const WIDTH_MIN: usize = 40;

/// When output is coloured. Its words say what they mean: help of their own would double the length of every `--help`.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Good,
    Warn,
    Bad,
    Hint,
    Head,
    Faint,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "1;31",
            Self::Hint => "36",
            Self::Head => "1",
            Self::Faint => "2",
        }
    }

    /// Of a word that says how something ended.
    pub(super) fn of_status(word: &str) -> Option<Self> {
        Some(match word {
            "loaded" | "ok" | "equal" => Self::Good,
            "warn" | "superseded" | "continued" | "running" => Self::Warn,
            "failed" | "fail" | "different" => Self::Bad,
            "skipped" | "ignored" | "deleted" => Self::Faint,
            _ => return None,
        })
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Look {
    is_out_coloured: bool,
    is_err_coloured: bool,
    is_quiet: bool,
}

static LOOK: OnceLock<Look> = OnceLock::new();

/// Decides once, before anything is printed.
pub(super) fn decide(colour: Colour, is_quiet: bool) {
    let of = |is_terminal| is_coloured(colour, is_terminal, &|name| std::env::var(name).ok());
    let look = Look {
        is_out_coloured: of(std::io::stdout().is_terminal()),
        is_err_coloured: of(std::io::stderr().is_terminal()),
        is_quiet,
    };
    // A second start in one process keeps what the first one found.
    let _ = LOOK.set(look);
}

fn is_coloured(colour: Colour, is_terminal: bool, variable: &dyn Fn(&str) -> Option<String>) -> bool {
    let said = |name: &str| variable(name).filter(|value| !value.is_empty());
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if said("NO_COLOR").is_some() => false,
        Colour::Auto if said("CLICOLOR_FORCE").is_some_and(|value| value != "0") => true,
        Colour::Auto => is_terminal && said("TERM").is_none_or(|term| term != "dumb"),
    }
}

fn look() -> Look {
    LOOK.get().copied().unwrap_or_default()
}

/// Whether lines about the way a command takes are unwelcome.
pub(super) fn is_quiet() -> bool {
    look().is_quiet
}

/// Whether stderr takes colour.
pub(super) fn is_err_coloured() -> bool {
    look().is_err_coloured
}

/// Text for stdout.
pub(super) fn out(paint: Paint, text: &str) -> String {
    painted(look().is_out_coloured, paint, text)
}

/// Text for stderr.
pub(super) fn err(paint: Paint, text: &str) -> String {
    painted(look().is_err_coloured, paint, text)
}

fn painted(is_coloured: bool, paint: Paint, text: &str) -> String {
    if is_coloured { format!("\x1b[{}m{text}\x1b[0m", paint.code()) } else { text.to_owned() }
}

/// A line whose first word says how something ended.
pub(super) fn headline(line: &str) -> String {
    let end = line.find([' ', '\n']).unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    match Paint::of_status(word) {
        Some(paint) => format!("{}{rest}", out(paint, word)),
        None => line.to_owned(),
    }
}

/// Columns of the terminal that stdout is, or that `COLUMNS` says; none where output goes elsewhere.
pub(super) fn width() -> Option<usize> {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse::<usize>().ok());
    let found = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    said.filter(|width| *width > 0).or_else(found).map(|width| width.max(WIDTH_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_where_it_is_welcome() {
        let decide = |colour, is_terminal, set: &[(&str, &str)]| {
            is_coloured(colour, is_terminal, &|name| {
                set.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
            })
        };
        let term = ("TERM", "xterm");
        assert!(decide(Colour::Auto, true, &[term]));
        assert!(!decide(Colour::Auto, false, &[term]));
        assert!(!decide(Colour::Auto, true, &[("TERM", "dumb")]));
        assert!(!decide(Colour::Auto, true, &[term, ("NO_COLOR", "1")]));
        assert!(decide(Colour::Auto, true, &[term, ("NO_COLOR", "")]));
        assert!(decide(Colour::Auto, false, &[("CLICOLOR_FORCE", "1")]));
        assert!(!decide(Colour::Auto, false, &[("CLICOLOR_FORCE", "0")]));
        assert!(!decide(Colour::Auto, false, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
        assert!(decide(Colour::Always, false, &[("NO_COLOR", "1")]));
        assert!(!decide(Colour::Never, true, &[("CLICOLOR_FORCE", "1")]));
    }
}
