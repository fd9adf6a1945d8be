//! Where a value ends, found in pieces that come one after the other. Whether it is well formed is seen when all of it
//! is there.

use memchr::memchr2;

/// Where in a value the scan stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before its first byte.
    #[default]
    Start,
    /// In an object or an array.
    Open,
    Quoted,
    /// In a string, behind a backslash.
    Escaped,
    /// In a number or a word.
    Bare,
}

/// Finds the end of one value at a time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extent {
    state: State,
    depth: usize,
}

impl Extent {
    /// Whether nothing but the end of the text ends the value.
    pub(super) fn is_bare(&self) -> bool {
        self.state == State::Bare
    }

    /// Reads on in `bytes`; how many of them are the value's, if it ends with them.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match self.state {
                State::Start => self.state = self.start(*byte),
                State::Open => match byte {
                    b'"' => self.state = State::Quoted,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return Some(at + 1);
                        }
                    }
                    _ => {}
                },
                State::Quoted => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    let Some(mark) = memchr2(b'"', b'\\', rest) else { return None };
                    at += mark;
                    if rest.get(mark) == Some(&b'\\') {
                        self.state = State::Escaped;
                    } else if self.depth == 0 {
                        return Some(at + 1);
                    } else {
                        self.state = State::Open;
                    }
                }
                State::Escaped => self.state = State::Quoted,
                State::Bare => {
                    if matches!(
                        byte,
                        b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"' | b' ' | b'\t' | b'\n' | b'\r'
                    ) {
                        return Some(at);
                    }
                }
            }
            at += 1;
        }
        None
    }

    fn start(&mut self, byte: u8) -> State {
        match byte {
            b'{' | b'[' => {
                self.depth = 1;
                State::Open
            }
            b'"' => State::Quoted,
            _ => State::Bare,
        }
    }
}
