//! What stands around the records of a document: the way from its first byte to the array at the root, from record to
//! record, and to its end.

use super::path::JsonPath;

/// What a byte begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Nothing: it is passed over.
    Mark,
    Value(Item),
}

/// What a value is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Record,
    /// The name of a member on the way.
    Name,
    /// A value beside the way.
    Aside,
}

/// What may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    /// The first byte of all.
    Text,
    /// Another object behind the first, or the end.
    NextText,
    /// A name or the end of an empty object.
    FirstName,
    Name,
    /// The colon, and whether the way goes on behind it.
    Colon(bool),
    Value(bool),
    /// An element or the end of an empty array on the way.
    FirstElement,
    /// A comma or the end of an object or array on the way.
    Next,
    FirstRecord,
    NextRecord,
    AfterRecord,
    /// The object at the root is the only record.
    AfterOnly,
    End,
}

/// An object or an array on the way.
#[derive(Clone, Copy, Debug)]
struct Outer {
    is_object: bool,
    /// Of an array: the place of the current element.
    place: u64,
    /// The member or element on the way has been there.
    is_met: bool,
}

#[derive(Debug)]
pub(super) struct Walk {
    root: JsonPath,
    outer: Vec<Outer>,
    expect: Expect,
    around: String,
}

/// Objects follow one another.
const FOLLOWING: char = '*';
/// One object is all there is.
const ONLY: char = '.';
const NO_ROOT: &str = "there is neither an array nor an object at `root`";
const NOT_EXPECTED: &str = "the JSON text is not well formed";

impl Walk {
    pub(super) fn new(root: JsonPath) -> Self {
        Self { root, outer: Vec::new(), expect: Expect::Text, around: String::new() }
    }

    /// The same behind a record; `around` is what [`Walk::around`] said.
    pub(super) fn resumed(self, around: &str) -> Self {
        let kinds = around.trim_end_matches([FOLLOWING, ONLY]);
        let outer = |kind: char| Outer { is_object: kind == '{', place: 0, is_met: true };
        let mut walk = Self { outer: kinds.chars().map(outer).collect(), around: around.to_owned(), ..self };
        walk.expect = match around.chars().next_back() {
            Some(FOLLOWING) => Expect::NextText,
            Some(ONLY) => walk.after_value(),
            _ => Expect::AfterRecord,
        };
        walk
    }

    /// What is open around the records, for whoever reads on behind one of them: a brace or bracket for each step of
    /// the way, and how they follow one another where that is not in an array.
    pub(super) fn around(&self) -> &str {
        &self.around
    }

    /// The records are reached.
    fn arrive(&mut self, how: Option<char>) {
        let kinds = self.outer.iter().map(|outer| if outer.is_object { '{' } else { '[' });
        self.around = kinds.chain(how).collect();
    }

    /// Takes a byte that is no blank.
    pub(super) fn meet(&mut self, byte: u8) -> Result<Met, &'static str> {
        match (self.expect, byte) {
            (Expect::Text, _) if !self.root.tokens().is_empty() => self.value(byte, true),
            (Expect::Text, b'[') => Ok(self.mark(Expect::FirstRecord)),
            (Expect::Text | Expect::NextText, b'{') => {
                self.arrive(Some(FOLLOWING));
                Ok(self.item(Item::Record, Expect::NextText))
            }
            (Expect::Text, _) => Err("it begins with neither `[` nor `{`"),
            (Expect::FirstName, b'}') | (Expect::FirstElement, b']') => self.close(),
            (Expect::FirstName | Expect::Name, b'"') => Ok(Met::Value(Item::Name)),
            (Expect::Colon(is_way), b':') => Ok(self.mark(Expect::Value(is_way))),
            (Expect::Value(is_way), _) => self.value(byte, is_way),
            (Expect::FirstElement, _) => self.element(byte),
            (Expect::Next, b',') => {
                let Some(innermost) = self.outer.last_mut() else { return Err(NOT_EXPECTED) };
                innermost.place += 1;
                let is_object = innermost.is_object;
                let expect = if is_object { Expect::Name } else { Expect::Value(self.is_element_met()) };
                Ok(self.mark(expect))
            }
            (Expect::Next, b'}' | b']') => {
                let is_object = self.outer.last().is_some_and(|outer| outer.is_object);
                if is_object == (byte == b'}') { self.close() } else { Err(NOT_EXPECTED) }
            }
            (Expect::FirstRecord | Expect::AfterRecord, b']') => Ok(self.leave()),
            (Expect::AfterRecord, b',') => Ok(self.mark(Expect::NextRecord)),
            (Expect::FirstRecord | Expect::NextRecord, _) => Ok(self.item(Item::Record, Expect::AfterRecord)),
            (Expect::End | Expect::NextText, _) => Err("something follows the end of the JSON text"),
            _ => Err(NOT_EXPECTED),
        }
    }

    fn mark(&mut self, expect: Expect) -> Met {
        self.expect = expect;
        Met::Mark
    }

    fn item(&mut self, item: Item, expect: Expect) -> Met {
        self.expect = expect;
        Met::Value(item)
    }

    /// Whether the element that comes is the one on the way.
    fn is_element_met(&mut self) -> bool {
        let level = self.outer.len().saturating_sub(1);
        let token = self.root.tokens().get(level);
        let Some(innermost) = self.outer.last_mut() else { return false };
        let is_met = !innermost.is_met && token.is_some_and(|token| *token == innermost.place.to_string());
        innermost.is_met |= is_met;
        is_met
    }

    fn element(&mut self, byte: u8) -> Result<Met, &'static str> {
        let is_way = self.is_element_met();
        self.value(byte, is_way)
    }

    fn value(&mut self, byte: u8, is_way: bool) -> Result<Met, &'static str> {
        if !is_way {
            return Ok(self.item(Item::Aside, Expect::Next));
        }
        let is_root = self.outer.len() == self.root.tokens().len();
        match byte {
            b'[' if is_root => {
                self.arrive(None);
                Ok(self.mark(Expect::FirstRecord))
            }
            b'{' if is_root => {
                self.arrive(Some(ONLY));
                Ok(self.item(Item::Record, Expect::AfterOnly))
            }
            b'{' | b'[' if !is_root => {
                let is_object = byte == b'{';
                self.outer.push(Outer { is_object, place: 0, is_met: false });
                Ok(self.mark(if is_object { Expect::FirstName } else { Expect::FirstElement }))
            }
            _ => Err(NO_ROOT),
        }
    }

    /// A name on the way was read.
    pub(super) fn name(&mut self, name: &[u8]) -> Result<(), &'static str> {
        let level = self.outer.len().saturating_sub(1);
        let is_way = self.root.tokens().get(level).is_some_and(|token| token.as_bytes() == name);
        let Some(innermost) = self.outer.last_mut() else { return Err(NOT_EXPECTED) };
        if is_way && innermost.is_met {
            return Err("a name on the way to `root` stands twice in one object");
        }
        innermost.is_met |= is_way;
        self.expect = Expect::Colon(is_way);
        Ok(())
    }

    /// The record's end was read.
    pub(super) fn end_record(&mut self) {
        if self.expect == Expect::AfterOnly {
            self.expect = self.after_value();
        }
    }

    /// The end of the array at the root.
    fn leave(&mut self) -> Met {
        self.mark(self.after_value())
    }

    fn after_value(&self) -> Expect {
        if self.outer.is_empty() { Expect::End } else { Expect::Next }
    }

    /// The end of an object or array on the way.
    fn close(&mut self) -> Result<Met, &'static str> {
        match self.outer.pop() {
            // What it leads to was not there.
            Some(outer) if !outer.is_met => Err(NO_ROOT),
            _ => Ok(self.leave()),
        }
    }

    /// The text ends here.
    pub(super) fn finish(&self) -> Result<(), &'static str> {
        match self.expect {
            Expect::Text | Expect::NextText | Expect::End => Ok(()),
            _ => Err("the object ends before its JSON text does"),
        }
    }
}
