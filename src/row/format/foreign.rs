//! Patterns of other programs to ours.

/// What Ruby's `strptime` reads, as a pattern of ours; else the part that has no equivalent.
///
/// # Errors
/// The directive as it was written.
pub fn from_ruby(pattern: &str) -> Result<String, String> {
    let mut text = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let from = &rest[at..];
        let bare = from[1..]
            .trim_start_matches(|letter: char| letter.is_ascii_digit() || "-_0^#:EO".contains(letter));
        let letter = bare.chars().next().ok_or_else(|| from.to_owned())?;
        rest = &bare[letter.len_utf8()..];
        let directive = &from[..from.len() - rest.len()];
        match letter {
            'c' => text.push_str("%a %b %e %H:%M:%S %Y"),
            'x' => text.push_str("%m/%d/%y"),
            'X' => text.push_str("%H:%M:%S"),
            'v' => text.push_str("%e-%b-%Y"),
            '+' => text.push_str("%a %b %e %H:%M:%S %Z %Y"),
            // Both read names and offsets there.
            'z' | 'Z' => text.push_str("%Z"),
            'N' | 'L' => text.push_str(directive),
            'Y' | 'y' | 'm' | 'd' | 'e' | 'j' | 'H' | 'k' | 'I' | 'l' | 'M' | 'S' | 'p' | 'P' | 'b' | 'B'
            | 'h' | 'a' | 'A' | 's' | 'Q' | 'F' | 'T' | 'R' | 'D' | 'r' | 'n' | 't' | '%' => {
                text.push('%');
                text.push(letter);
            }
            _ => return Err(directive.to_owned()),
        }
    }
    text.push_str(rest);
    Ok(text)
}

/// What Java's `DateTimeFormatter` and `SimpleDateFormat` read, as a pattern of ours; else the part that has no equivalent.
///
/// # Errors
/// The letters as they were written.
pub fn from_java(pattern: &str) -> Result<String, String> {
    let mut text = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            rest = quoted(rest, &mut text)?;
            continue;
        }
        let after = rest.trim_start_matches(first);
        let run = &rest[..rest.len() - after.len()];
        rest = after;
        match first {
            _ if first.is_ascii_alphabetic() => text.push_str(java_directive(first, run.len()).ok_or(run)?),
            '[' | ']' | '{' | '}' | '#' => return Err(run.to_owned()),
            '%' => text.push_str(&"%%".repeat(run.len())),
            _ => text.push_str(run),
        }
    }
    Ok(text)
}

/// More variants of one pattern are none that anybody wrote.
const VARIANTS_MAX: usize = 16;

/// The same for patterns with parts that may be missing, `[.SSS]`: one pattern for each way to leave them out, the whole one
/// first.
///
/// # Errors
/// The letters as they were written.
pub fn from_java_all(pattern: &str) -> Result<Vec<String>, String> {
    let mut variants = vec![String::new()];
    let mut without: Vec<Vec<String>> = Vec::new();
    let mut is_quoted = false;
    for letter in pattern.chars() {
        match letter {
            '[' if !is_quoted => without.push(variants.clone()),
            ']' if !is_quoted => variants.extend(without.pop().ok_or("]")?),
            _ => {
                is_quoted ^= letter == '\'';
                for variant in &mut variants {
                    variant.push(letter);
                }
            }
        }
        if variants.len() > VARIANTS_MAX {
            return Err("[".to_owned());
        }
    }
    if !without.is_empty() {
        return Err("[".to_owned());
    }
    variants.iter().map(|variant| from_java(variant)).collect()
}

/// Takes text between apostrophes; two of them are one.
fn quoted<'a>(text: &'a str, out: &mut String) -> Result<&'a str, String> {
    let inner = &text[1..];
    if let Some(rest) = inner.strip_prefix('\'') {
        out.push('\'');
        return Ok(rest);
    }
    let mut rest = inner;
    loop {
        let at = rest.find('\'').ok_or_else(|| text.to_owned())?;
        out.push_str(&rest[..at].replace('%', "%%"));
        rest = &rest[at + 1..];
        match rest.strip_prefix('\'') {
            Some(after) => {
                out.push('\'');
                rest = after;
            }
            None => return Ok(rest),
        }
    }
}

fn java_directive(letter: char, count: usize) -> Option<&'static str> {
    Some(match (letter, count) {
        ('y' | 'u', 2) => "%y",
        ('y' | 'u', 1 | 3..) => "%Y",
        ('M' | 'L', 1 | 2) => "%m",
        ('M' | 'L', 3) => "%b",
        ('M' | 'L', 4) => "%B",
        ('d', 1 | 2) => "%d",
        ('D', _) => "%j",
        ('H', 1 | 2) => "%H",
        ('h', 1 | 2) => "%I",
        ('m', 1 | 2) => "%M",
        ('s', 1 | 2) => "%S",
        ('S', _) => "%N",
        ('a', 1) => "%p",
        ('E', 1..=3) => "%a",
        ('E', 4) => "%A",
        ('X' | 'x' | 'Z', 1..=5) => "%z",
        ('z', 1..=4) | ('V', 2) => "%Z",
        _ => return None,
    })
}
