//! SQL as words: enough of a reader to tell statements apart and to look inside the ones with rules of their own.

/// What a token is; `value` of a word is in lower case, of a quoted name and of a text without its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Word,
    Quoted,
    Text,
    Number,
    Parameter,
    Symbol,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub value: String,
    pub start: usize,
    pub end: usize,
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.value == word
    }

    pub fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.value == symbol
    }

    /// A name: quoted, or a bare word.
    pub fn name(&self) -> Option<&str> {
        matches!(self.kind, Kind::Word | Kind::Quoted).then_some(self.value.as_str())
    }
}

/// One statement of a query text.
#[derive(Clone, Debug)]
pub struct Statement {
    pub text: String,
    pub tokens: Vec<Token>,
}

impl Statement {
    pub fn starts_with(&self, words: &[&str]) -> bool {
        words.len() <= self.tokens.len()
            && words.iter().zip(&self.tokens).all(|(word, token)| token.is_word(word))
    }

    pub fn has_word(&self, word: &str) -> bool {
        self.tokens.iter().any(|token| token.is_word(word))
    }

    /// Whether the words stand side by side somewhere.
    pub fn has_words(&self, words: &[&str]) -> bool {
        self.tokens.windows(words.len()).any(|window| window.iter().zip(words).all(|(t, w)| t.is_word(w)))
    }

    /// The text with everything between two of its bytes replaced.
    pub fn replaced(&self, start: usize, end: usize, with: &str) -> String {
        format!("{}{with}{}", &self.text[..start], &self.text[end..])
    }
}

/// The statements of a query text, without the empty ones.
pub fn split(sql: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut tokens: Vec<Token> = Vec::new();
    for token in tokens_of(sql) {
        if token.is_symbol(";") {
            statements.extend(statement(sql, std::mem::take(&mut tokens)));
        } else {
            tokens.push(token);
        }
    }
    statements.extend(statement(sql, tokens));
    statements
}

fn statement(sql: &str, mut tokens: Vec<Token>) -> Option<Statement> {
    let (start, end) = (tokens.first()?.start, tokens.last()?.end);
    for token in &mut tokens {
        token.start -= start;
        token.end -= start;
    }
    Some(Statement { text: sql[start..end].to_owned(), tokens })
}

fn tokens_of(sql: &str) -> Vec<Token> {
    let bytes = sql.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &sql[at..];
        let first = bytes[at];
        if first.is_ascii_whitespace() {
            at += 1;
        } else if rest.starts_with("--") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += comment_length(rest);
        } else {
            let (kind, length, value) = token(rest);
            tokens.push(Token { kind, value, start: at, end: at + length });
            at += length;
        }
    }
    tokens
}

fn token(rest: &str) -> (Kind, usize, String) {
    let first = rest.as_bytes()[0];
    let escaped = matches!(first, b'e' | b'E') && rest[1..].starts_with('\'');
    if first == b'\'' || escaped {
        return quoted(rest, usize::from(escaped), '\'', Kind::Text, escaped);
    }
    if first == b'"' {
        return quoted(rest, 0, '"', Kind::Quoted, false);
    }
    if first == b'$' {
        return dollar(rest);
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    if first.is_ascii_digit() {
        let length = rest.find(|c: char| !is_word(c) && c != '.').unwrap_or(rest.len());
        return (Kind::Number, length, rest[..length].to_owned());
    }
    if rest.starts_with(is_word) {
        let length = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        return (Kind::Word, length, rest[..length].to_lowercase());
    }
    let length = ["::", "<=", ">=", "<>", "!="].iter().find(|operator| rest.starts_with(**operator));
    let length =
        length.map_or_else(|| rest.chars().next().map_or(1, char::len_utf8), |operator| operator.len());
    (Kind::Symbol, length, rest[..length].to_owned())
}

fn quoted(rest: &str, prefix: usize, quote: char, kind: Kind, has_escapes: bool) -> (Kind, usize, String) {
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(prefix + 1).peekable();
    while let Some((at, one)) = chars.next() {
        if one == '\\' && has_escapes {
            value.extend(chars.next().map(|(_, escaped)| escaped));
        } else if one != quote {
            value.push(one);
        } else if chars.next_if(|(_, next)| *next == quote).is_some() {
            value.push(quote);
        } else {
            return (kind, at + quote.len_utf8(), value);
        }
    }
    (kind, rest.len(), value)
}

/// `$1`, or a text between `$tag$` and `$tag$`.
fn dollar(rest: &str) -> (Kind, usize, String) {
    let tag_end = rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(rest.len(), |at| at + 1);
    if rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return (Kind::Parameter, tag_end, rest[..tag_end].to_owned());
    }
    if !rest[tag_end..].starts_with('$') {
        return (Kind::Symbol, 1, "$".to_owned());
    }
    let tag = &rest[..=tag_end];
    let body = &rest[tag.len()..];
    match body.find(tag) {
        Some(end) => (Kind::Text, end + 2 * tag.len(), body[..end].to_owned()),
        None => (Kind::Text, rest.len(), body.to_owned()),
    }
}

/// Comments nest.
fn comment_length(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        if here.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// Reads tokens from left to right.
#[derive(Clone)]
pub struct Cursor<'a> {
    tokens: &'a [Token],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(tokens: &'a [Token]) -> Self {
        Self { tokens, at: 0 }
    }

    pub fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    pub fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek()?;
        self.at += 1;
        Some(token)
    }

    pub fn at_end(&self) -> bool {
        self.at >= self.tokens.len()
    }

    pub fn rest(&self) -> &'a [Token] {
        &self.tokens[self.at.min(self.tokens.len())..]
    }

    /// Goes past these words when they come next.
    pub fn words(&mut self, words: &[&str]) -> bool {
        let rest = self.rest();
        let is_next =
            rest.len() >= words.len() && words.iter().zip(rest).all(|(word, token)| token.is_word(word));
        self.at += if is_next { words.len() } else { 0 };
        is_next
    }

    pub fn symbol(&mut self, symbol: &str) -> bool {
        let is_next = self.peek().is_some_and(|token| token.is_symbol(symbol));
        self.at += usize::from(is_next);
        is_next
    }

    pub fn name(&mut self) -> Option<String> {
        let name = self.peek()?.name()?.to_owned();
        self.at += 1;
        Some(name)
    }

    /// `table` or `schema.table`, each part as it is stored.
    pub fn table(&mut self) -> Option<Vec<String>> {
        let mut parts = vec![self.name()?];
        while self.symbol(".") {
            parts.push(self.name()?);
        }
        Some(parts)
    }

    /// What stands between this parenthesis and its partner.
    pub fn parenthesized(&mut self) -> Option<&'a [Token]> {
        if !self.symbol("(") {
            return None;
        }
        let start = self.at;
        let mut depth = 1;
        while depth > 0 {
            let token = self.next()?;
            depth += i32::from(is_opening(token)) - i32::from(is_closing(token));
        }
        Some(&self.tokens[start..self.at - 1])
    }

    /// Everything up to one of these words outside of parentheses.
    pub fn until(&mut self, words: &[&str]) -> &'a [Token] {
        let start = self.at;
        let mut depth = 0;
        while let Some(token) = self.peek() {
            if depth == 0 && words.iter().any(|word| token.is_word(word)) {
                break;
            }
            depth += i32::from(is_opening(token)) - i32::from(is_closing(token));
            self.at += 1;
        }
        &self.tokens[start..self.at]
    }
}

fn is_opening(token: &Token) -> bool {
    token.is_symbol("(") || token.is_symbol("[")
}

fn is_closing(token: &Token) -> bool {
    token.is_symbol(")") || token.is_symbol("]")
}

/// The parts between commas outside of parentheses.
pub fn list(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0);
    for (at, token) in tokens.iter().enumerate() {
        depth += i32::from(is_opening(token)) - i32::from(is_closing(token));
        if depth == 0 && token.is_symbol(",") {
            parts.push(&tokens[start..at]);
            start = at + 1;
        }
    }
    if !tokens.is_empty() {
        parts.push(&tokens[start..]);
    }
    parts
}

/// A list of plain names; `None` when something else is in it.
pub fn names(tokens: &[Token]) -> Option<Vec<String>> {
    let name = |part: &[Token]| match part {
        [token] => token.name().map(str::to_owned),
        _ => None,
    };
    list(tokens).into_iter().map(name).collect()
}

/// A name as SQL writes it.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn quote_table(parts: &[String]) -> String {
    parts.iter().map(|part| quote(part)).collect::<Vec<_>>().join(".")
}

pub fn quote_list(names: &[String]) -> String {
    names.iter().map(|name| quote(name)).collect::<Vec<_>>().join(", ")
}

/// A text as SQL writes it.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
