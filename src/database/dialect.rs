//! What is at the other end: PostgreSQL, or Hologres by its own version.
//!
//! Hologres shows itself as PostgreSQL 11; its own version comes from `hg_version()`, which answers
//! `Hologres 3.1.17 (tag: release-3.1.x build: …)` (holo-client, `ConnectionUtil`).

use std::fmt;

/// A version of Hologres, compared part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// First part.
    pub major: u32,
    /// Second part.
    pub minor: u32,
    /// Third part, 0 where it is not given.
    pub patch: u32,
}

impl Version {
    /// `major.minor.patch`
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Reads the answer of `hg_version()`, or that of `version()`, which names the release.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("Hologres ").or_else(|| text.split_once("release-"))?;
        let number = rest.split([' ', '-', '(', ')']).next()?;
        let mut parts = number.split('.').map(str::parse::<u32>);
        let mut next = || parts.next().and_then(Result::ok);
        Some(Self { major: next()?, minor: next()?, patch: next().unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The server's dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// PostgreSQL, or what behaves like it.
    PostgreSql,
    /// Hologres.
    Hologres(Version),
}

impl Dialect {
    /// What a host's name says before anybody is asked: Hologres's endpoints have a domain of their own (Hologres help,
    /// "Endpoints"). Of the version it says nothing.
    pub fn of_host(host: &str) -> Self {
        if host.ends_with(".hologres.aliyuncs.com") {
            Self::Hologres(Version::new(0, 0, 0))
        } else {
            Self::PostgreSql
        }
    }

    /// Hologres's version.
    pub fn hologres(self) -> Option<Version> {
        match self {
            Self::PostgreSql => None,
            Self::Hologres(version) => Some(version),
        }
    }

    /// Whether it is Hologres.
    pub fn is_hologres(self) -> bool {
        self.hologres().is_some()
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PostgreSql => f.write_str("PostgreSQL"),
            Self::Hologres(version) => write!(f, "Hologres {version}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_compare() {
        let parse = |text: &str| Version::parse(text);
        assert_eq!(parse("Hologres 0.11.1 (tag: release-0.11.x build: 1)"), Some(Version::new(0, 11, 1)));
        assert_eq!(parse("Hologres 3.1.17-rc2 (tag: x)"), Some(Version::new(3, 1, 17)));
        assert_eq!(parse("Hologres 4.1"), Some(Version::new(4, 1, 0)));
        assert_eq!(parse("PostgreSQL 11.3 (tag: release-2.0.31 build: 5)"), Some(Version::new(2, 0, 31)));
        assert_eq!(parse("PostgreSQL 11.3"), None);
        assert_eq!(parse("Hologres next"), None);
        assert!(Version::new(2, 2, 40) < Version::new(3, 0, 4));
        assert!(Version::new(1, 3, 24) < Version::new(1, 3, 35));
    }
}
