//! Where in an object a field is found.

use std::fmt;

use crate::error::{Error, Result};

/// Deepest place that a path may lead to: columns are named by hand.
pub const PATH_TOKENS_MAX: usize = 32;

/// The way to a value: the names of members, or in arrays the places of elements, from the outside in.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsonPath(Vec<String>);

impl JsonPath {
    /// The member of this name, whatever characters it has.
    pub fn name(name: &str) -> Self {
        Self(vec![name.to_owned()])
    }

    /// Reads `name`, `a.b.c`, or a JSON pointer (RFC 6901) `/a/b/0`, in which `~1` stands for `/` and `~0` for `~`.
    ///
    /// # Errors
    /// `Config` for an empty name between dots, an escape that a pointer does not know, and more than
    /// [`PATH_TOKENS_MAX`] steps.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |what: &str| {
            Error::config(format!("read the JSON path `{text}`: {what}")).with_hint(
                "write `name`, `a.b.c`, or a pointer `/a/b/0`; a name with a dot in it needs the pointer: `/a.b`",
            )
        };
        let tokens: Vec<String> = match text.strip_prefix('/') {
            Some(rest) => rest
                .split('/')
                .map(unescaped)
                .collect::<Option<_>>()
                .ok_or_else(|| refuse("after `~` a pointer has `0` or `1`"))?,
            None if text.split('.').any(str::is_empty) => return Err(refuse("a name is empty")),
            None => text.split('.').map(str::to_owned).collect(),
        };
        if tokens.len() > PATH_TOKENS_MAX {
            return Err(refuse("it has too many steps"));
        }
        Ok(Self(tokens))
    }

    /// Reads the pointer to where records are; the empty one is the whole text.
    ///
    /// # Errors
    /// `Config` for what is no pointer.
    pub fn root(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        if !text.starts_with('/') {
            return Err(Error::config(format!("`root: {text}` is no JSON pointer"))
                .with_hint(format!("it begins with a slash: `root: /{}`", text.replace('.', "/"))));
        }
        Self::parse(text)
    }

    /// The steps.
    pub fn tokens(&self) -> &[String] {
        &self.0
    }
}

/// The pointer, whatever the path was written as.
impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

fn unescaped(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (letter, rest) = part.split_at_checked(1)?;
        name.push(match letter {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        for (text, tokens) in [
            ("a", &["a"][..]),
            ("a.b.c", &["a", "b", "c"]),
            ("/a/b/0", &["a", "b", "0"]),
            ("/a.b", &["a.b"]),
            ("/a~1b/~0", &["a/b", "~"]),
            ("/", &[""]),
            ("日本.名", &["日本", "名"]),
        ] {
            let path = JsonPath::parse(text).expect(text);
            assert_eq!(path.tokens(), tokens, "{text}");
            assert_eq!(JsonPath::parse(&path.to_string()).expect("its own form"), path, "{text}");
        }
        for bad in ["", "a..b", ".a", "a.", "/a~", "/a~2", "/~日"] {
            assert!(JsonPath::parse(bad).is_err(), "{bad}");
        }
        assert!(JsonPath::parse(&"/a".repeat(PATH_TOKENS_MAX + 1)).is_err());
        assert_eq!(JsonPath::root("").expect("empty"), JsonPath::default());
        assert!(JsonPath::root("data").is_err());
        assert_eq!(JsonPath::name("a.b").tokens(), ["a.b"]);
    }
}
