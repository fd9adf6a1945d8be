//! The one error type: what kind of trouble, what was being done, why, and what to do next.
//!
//! The [`Class`] alone decides retries, exit codes and how a door answers. Text follows the grammar
//! `action: cause: cause`, lower case, no full stop; the hint stands apart from it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;

/// What kind of trouble an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Class {
    /// May go away by itself: try the same thing again.
    Transient,
    /// The object's content or the request is wrong: trying again gives the same answer.
    Input,
    /// Somebody refused: IAM, KMS, allow-list, login, certificate.
    Access,
    /// The settings and the world do not fit together.
    Config,
    /// A defect of holoload.
    Bug,
}

impl Class {
    /// The name as it stands in reports, ledger and `errorType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Transient => "Transient",
            Self::Input => "Input",
            Self::Access => "Access",
            Self::Config => "Config",
            Self::Bug => "Bug",
        }
    }

    /// The process exit code that stands for this class.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Input => 1,
            Self::Config => 2,
            Self::Access => 3,
            Self::Transient => 4,
            Self::Bug => 70,
        }
    }

    /// Rank in an answer about several objects: the lower, the more it decides the whole answer.
    pub fn answer_rank(self) -> u8 {
        match self {
            Self::Transient => 0,
            Self::Access => 1,
            Self::Config => 2,
            Self::Bug => 3,
            Self::Input => 4,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Further attempts after a Transient error, inside one invocation, where it says no other number.
pub const RETRY_MAX_DEFAULT: u32 = 3;
/// The pause before the first of them, where it says no other.
pub const RETRY_PAUSE_DEFAULT_MS: u64 = 200;

/// What may help when the same thing is tried again.
#[expect(clippy::struct_excessive_bools, reason = "each is said by itself")]
#[derive(Clone, Copy, Default)]
struct Advice {
    retries: Option<(u32, u64)>,
    wants_smaller_batch: bool,
    is_stale_table: bool,
    is_refused_login: bool,
    is_refused_address: bool,
}

/// A classed error with its whole chain of causes and a hint.
pub struct Error(Box<Inner>);

struct Inner {
    class: Class,
    code: Option<Cow<'static, str>>,
    action: String,
    hint: Option<String>,
    advice: Advice,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Shorthand used by every room.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of `class`; `action` is an imperative fragment such as ``open `s3://b/k` `` or a plain statement of what is wrong.
    pub fn new(class: Class, action: impl Into<String>) -> Self {
        let advice = Advice::default();
        Self(Box::new(Inner { class, code: None, action: action.into(), hint: None, advice, source: None }))
    }

    /// Something that may go away by itself.
    pub fn transient(action: impl Into<String>) -> Self {
        Self::new(Class::Transient, action)
    }

    /// Wrong content or a wrong request.
    pub fn input(action: impl Into<String>) -> Self {
        Self::new(Class::Input, action)
    }

    /// A refusal.
    pub fn access(action: impl Into<String>) -> Self {
        Self::new(Class::Access, action)
    }

    /// Settings that do not fit the world.
    pub fn config(action: impl Into<String>) -> Self {
        Self::new(Class::Config, action)
    }

    /// A defect of holoload.
    pub fn bug(action: impl Into<String>) -> Self {
        Self::new(Class::Bug, action)
    }

    /// Adds the step that helps: a statement, a setting, an address, an IAM action.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same hint with another beginning, if it begins so.
    #[must_use]
    pub fn with_other_hint(mut self, from: &str, to: &str) -> Self {
        if let Some(rest) = self.0.hint.as_deref().and_then(|hint| hint.strip_prefix(from)) {
            self.0.hint = Some(format!("{to}{rest}"));
        }
        self
    }

    /// The same error in another class.
    #[must_use]
    pub fn reclassed(mut self, class: Class) -> Self {
        self.0.class = class;
        self
    }

    /// Adds a machine-readable code: an SQLSTATE, an S3 error code.
    #[must_use]
    pub fn with_code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = Some(code.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says how often the same thing is worth trying again inside one invocation, and the first pause before it.
    #[must_use]
    pub fn with_retries(mut self, max: u32, pause_ms: u64) -> Self {
        self.0.advice.retries = Some((max, pause_ms));
        self
    }

    /// Fewer rows at once may get through.
    #[must_use]
    pub fn with_smaller_batch(mut self) -> Self {
        self.0.advice.wants_smaller_batch = true;
        self
    }

    /// What is known of the table is out of date.
    #[must_use]
    pub fn with_stale_table(mut self) -> Self {
        self.0.advice.is_stale_table = true;
        self
    }

    /// User and password were refused.
    #[must_use]
    pub fn with_refused_login(mut self) -> Self {
        self.0.advice.is_refused_login = true;
        self
    }

    /// The address that we come from was refused, before anybody looked at user and password.
    #[must_use]
    pub fn with_refused_address(mut self) -> Self {
        self.0.advice.is_refused_address = true;
        self
    }

    /// Wraps this error in what was being attempted; class, code, hint and what may help stay.
    #[must_use]
    pub fn context(self, action: impl Into<String>) -> Self {
        let class = self.0.class;
        let code = self.0.code.clone();
        let hint = self.0.hint.clone();
        let advice = self.0.advice;
        let source = Some(Box::new(self).into());
        Self(Box::new(Inner { class, code, action: action.into(), hint, advice, source }))
    }

    /// The class.
    pub fn class(&self) -> Class {
        self.0.class
    }

    /// SQLSTATE or service error code, where there is one.
    pub fn code(&self) -> Option<&str> {
        self.0.code.as_deref()
    }

    /// What to do next.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Further attempts that are worth it inside one invocation.
    pub fn retry_max(&self) -> u32 {
        let default = if self.0.class == Class::Transient { RETRY_MAX_DEFAULT } else { 0 };
        self.0.advice.retries.map_or(default, |(max, _)| max)
    }

    /// The pause before the first of them; each further one doubles it.
    pub fn retry_pause_ms(&self) -> u64 {
        self.0.advice.retries.map_or(RETRY_PAUSE_DEFAULT_MS, |(_, pause_ms)| pause_ms)
    }

    /// Whether fewer rows at once may get through.
    pub fn wants_smaller_batch(&self) -> bool {
        self.0.advice.wants_smaller_batch
    }

    /// Whether what is known of the table is out of date.
    pub fn is_stale_table(&self) -> bool {
        self.0.advice.is_stale_table
    }

    /// Whether user and password were refused.
    pub fn is_refused_login(&self) -> bool {
        self.0.advice.is_refused_login
    }

    /// Whether the address that we come from was refused.
    pub fn is_refused_address(&self) -> bool {
        self.0.advice.is_refused_address
    }

    /// The outermost fragment alone, without its causes.
    pub fn action(&self) -> &str {
        &self.0.action
    }

    /// Action and causes, outermost first; causes that only repeat the text before them are left out.
    pub fn chain(&self) -> Vec<String> {
        let mut parts = vec![self.0.action.clone()];
        let mut next = self.source();
        while let Some(cause) = next {
            let text =
                cause.downcast_ref::<Self>().map_or_else(|| cause.to_string(), |own| own.0.action.clone());
            let repeats = parts.last().is_some_and(|last| last.ends_with(&text));
            if !repeats && !text.is_empty() {
                parts.push(text);
            }
            next = cause.source();
        }
        parts
    }

    /// The whole chain in one line.
    pub fn message(&self) -> String {
        self.chain().join(": ").replace(['\n', '\r'], " ")
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.class, self.message())?;
        if let Some(hint) = &self.0.hint {
            write!(f, " (hint: {hint})")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// An error of a library and all its causes in one line.
pub fn causes(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

/// A number of things, in words: `1 row`, `2 rows`.
pub fn counted(count: impl Into<u64>, what: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// The candidate that a mistyped `word` most likely meant, if any is near enough to be worth naming.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Below this similarity (Jaro-Winkler, 0 to 1) a suggestion misleads more often than it helps.
    const SIMILARITY_MIN: f64 = 0.7;
    let folded = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(similarity, _)| *similarity >= SIMILARITY_MIN)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_is_printed_once_and_whole() {
        let io = std::io::Error::other("connection reset");
        let error = Error::transient("read the body")
            .with_source(io)
            .with_hint("try again")
            .context("load `s3://b/k`");
        assert_eq!(error.to_string(), "load `s3://b/k`: read the body: connection reset");
        assert_eq!(error.hint(), Some("try again"));
        assert_eq!(error.class(), Class::Transient);
    }

    #[test]
    fn what_may_help_stays_in_every_wrapping() {
        let plain = Error::transient("read the body");
        assert_eq!((plain.retry_max(), plain.retry_pause_ms()), (RETRY_MAX_DEFAULT, RETRY_PAUSE_DEFAULT_MS));
        assert_eq!(Error::config("no host").retry_max(), 0);
        let error = Error::transient("write").with_retries(1, 50).with_smaller_batch().with_stale_table();
        let error = error
            .with_refused_login()
            .with_refused_address()
            .context("load")
            .reclassed(Class::Config)
            .context("again");
        assert_eq!((error.retry_max(), error.retry_pause_ms()), (1, 50));
        assert!(error.wants_smaller_batch() && error.is_stale_table() && error.is_refused_login());
        assert!(error.is_refused_address() && !plain.is_refused_address());
        assert!(!plain.wants_smaller_batch() && !plain.is_stale_table() && !plain.is_refused_login());
    }

    #[test]
    fn the_nearest_name_is_found_and_nonsense_is_not() {
        assert_eq!(nearest("amuont", ["order_id", "amount"]), Some("amount"));
        assert_eq!(nearest("zzz", ["order_id", "amount"]), None);
    }
}
