//! One entry of a table's access list, as `aclitem` prints it: `grantee=privileges/grantor`.

use crate::table::{TableName, quote};

/// Who may do what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// None is everybody.
    pub grantee: Option<String>,
    /// Words of SQL, and whether they may be handed on.
    privileges: Vec<(&'static str, bool)>,
}

impl Acl {
    /// Reads an entry; none where it holds something that is not known.
    pub fn parse(text: &str) -> Option<Self> {
        let (grantee, rest) = match text.strip_prefix('"') {
            Some(quoted) => split_quoted(quoted)?,
            None => text.split_once('=').map(|(name, _)| (name.to_owned(), &text[name.len()..]))?,
        };
        let (letters, _) = rest.strip_prefix('=')?.split_once('/')?;
        let mut privileges = Vec::new();
        let mut letters = letters.chars().peekable();
        while let Some(letter) = letters.next() {
            let word = match letter {
                'r' => "SELECT",
                'a' => "INSERT",
                'w' => "UPDATE",
                'd' => "DELETE",
                'D' => "TRUNCATE",
                'x' => "REFERENCES",
                't' => "TRIGGER",
                // Since PostgreSQL 17.
                'm' => "MAINTAIN",
                _ => return None,
            };
            privileges.push((word, letters.next_if_eq(&'*').is_some()));
        }
        Some(Self { grantee: Some(grantee).filter(|name| !name.is_empty()), privileges })
    }

    /// The statements that grant the same on another table.
    pub fn grants(&self, table: &TableName) -> Vec<String> {
        let grantee = self.grantee.as_deref().map_or_else(|| "PUBLIC".to_owned(), quote);
        let grant = |(word, is_handed_on): &(&str, bool)| {
            let option = if *is_handed_on { " WITH GRANT OPTION" } else { "" };
            format!("GRANT {word} ON {} TO {grantee}{option}", table.quoted())
        };
        self.privileges.iter().map(grant).collect()
    }
}

fn split_quoted(text: &str) -> Option<(String, &str)> {
    let mut name = String::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c != '"' {
            name.push(c);
        } else if chars.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, &text[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let table = TableName { schema: "s".to_owned(), name: "t".to_owned() };
        let of = |text: &str| Acl::parse(text).map(|acl| acl.grants(&table).join("; "));
        assert_eq!(of("=r/postgres").as_deref(), Some(r#"GRANT SELECT ON "s"."t" TO PUBLIC"#));
        assert_eq!(
            of(r#""BASIC$a""b"=ar*/"x=y""#).as_deref(),
            Some(
                r#"GRANT INSERT ON "s"."t" TO "BASIC$a""b"; GRANT SELECT ON "s"."t" TO "BASIC$a""b" WITH GRANT OPTION"#
            )
        );
        assert_eq!(of("app=/postgres").as_deref(), Some(""));
        assert_eq!(of("app=Z/postgres"), None);
        assert_eq!(of("app"), None);
    }
}
