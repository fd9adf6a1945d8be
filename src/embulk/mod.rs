//! An Embulk configuration as one of ours. What it says is translated, or named with the reason why not; what the same
//! words have come to mean is told as well. Passwords and keys are never copied.

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::settings::parse_plain_yaml;
use input::Input;

mod filters;
mod input;
mod output;
mod parser;
mod text;
mod time;

/// What came of a file.
#[derive(Clone, Debug)]
pub struct Import {
    /// A configuration that [`Settings`](crate::settings::Settings) reads, with the notes as comments.
    pub yaml: String,
    /// What was left out, and what differs.
    pub notes: Vec<Note>,
}

/// Something the reader should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// The option by its path in the file: `in.parser.escape`.
    pub option: String,
    /// Why, and what to use.
    pub text: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// The option has no equivalent here, or needs none.
    NotCarriedOver,
    /// It was translated, or was a default, and the outcome differs from Embulk's.
    Changed,
    /// It must be supplied by hand: secrets, names.
    ToDo,
}

impl NoteKind {
    /// The words it begins with.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotCarriedOver => "not carried over",
            Self::Changed => "differs from Embulk",
            Self::ToDo => "to do",
        }
    }
}

impl Note {
    /// One line.
    pub fn line(&self) -> String {
        format!("{}: {}, {}", self.kind.name(), self.option, self.text)
    }

    /// For machines.
    pub fn json(&self) -> Value {
        json!({"kind": self.kind.name(), "option": self.option, "text": self.text})
    }
}

/// The notes while they are collected.
#[derive(Default)]
struct Notes(Vec<Note>);

impl Notes {
    fn add(&mut self, kind: NoteKind, option: &str, text: impl Into<String>) {
        let note = Note { kind, option: option.to_owned(), text: text.into() };
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    fn drop(&mut self, option: &str, text: impl Into<String>) {
        self.add(NoteKind::NotCarriedOver, option, text);
    }

    fn differs(&mut self, option: &str, text: impl Into<String>) {
        self.add(NoteKind::Changed, option, text);
    }

    fn todo(&mut self, option: &str, text: impl Into<String>) {
        self.add(NoteKind::ToDo, option, text);
    }
}

/// One part of the file, from which options are taken one by one: what is left at the end is unknown.
struct Section {
    path: String,
    members: Map<String, Value>,
}

impl Section {
    fn new(path: &str, value: Option<Value>) -> Result<Self> {
        let members = match value {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(members)) => members,
            Some(_) => {
                return Err(Error::config(format!(
                    "read the Embulk file: `{path}` must hold `key: value` lines"
                )));
            }
        };
        Ok(Self { path: path.to_owned(), members })
    }

    fn named(&self, option: &str) -> String {
        if self.path.is_empty() { option.to_owned() } else { format!("{}.{option}", self.path) }
    }

    fn take(&mut self, option: &str) -> Option<Value> {
        self.members.remove(option)
    }

    /// As text; numbers and booleans as they are written in YAML.
    fn text(&mut self, option: &str) -> Option<String> {
        self.take(option).and_then(|value| plain(&value))
    }

    fn is_true(&mut self, option: &str) -> bool {
        match self.take(option) {
            Some(Value::Bool(word)) => word,
            Some(Value::String(word)) => {
                matches!(word.to_ascii_lowercase().as_str(), "true" | "yes" | "on")
            }
            _ => false,
        }
    }

    fn number(&mut self, option: &str) -> Option<u64> {
        match self.take(option)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn section(&mut self, option: &str) -> Result<Self> {
        let path = self.named(option);
        let value = self.take(option);
        Self::new(&path, value)
    }

    /// Names these options, if they are there, with why they are not needed.
    fn drop_all(&mut self, notes: &mut Notes, reasons: &[(&str, &str)]) {
        for (option, reason) in reasons {
            if self.take(option).is_some() {
                notes.drop(&self.named(option), *reason);
            }
        }
    }

    /// Names what is left.
    fn end(self, notes: &mut Notes, of: &str) {
        for option in self.members.keys() {
            notes.drop(&self.named(option), format!("because {of} has no such option that is known here"));
        }
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(word) => Some(word.to_string()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Translates the text of an Embulk file; also of a `parser:` or an `out:` block alone.
///
/// # Errors
/// `Config` for text that is not YAML, or a template with more in it than variables.
pub fn import(text: &str) -> Result<Import> {
    let text = without_variables(text)?;
    let mut whole = parse_plain_yaml(&text).map_err(|error| {
        error.with_hint("an Embulk file is YAML with `in:` and `out:`").context("import the Embulk file")
    })?;
    let mut notes = Notes::default();
    let is_whole = ["in", "out", "filters", "exec"].iter().any(|name| whole.contains_key(*name));
    if !is_whole {
        let is_output = whole.contains_key("table") || whole.contains_key("mode");
        let path = if is_output { "out" } else { "in" };
        let inner = if is_output { Value::Object(whole) } else { json!({"parser": whole}) };
        whole = Map::from_iter([(path.to_owned(), inner)]);
    }
    let mut root = Section::new("", Some(Value::Object(whole)))?;
    let input = input::read(root.section("in")?, &mut notes)?;
    let changes = filters::read(root.take("filters"), &mut notes);
    let output = output::read(root.section("out")?, &mut notes);
    if changes.keeps_some() && input.parser.columns.is_empty() {
        notes.todo("filters.keep", "no columns are listed that it could leave out: name the others under `drop`, or set `drift: ignore`");
    }
    let input = Input { parser: input.parser.written_by(&output, &changes, &mut notes), ..input };
    exec(root.section("exec")?, &mut notes);
    root.end(&mut notes, "Embulk");
    let yaml = text::write(&input, &changes, &output, &notes.0);
    Ok(Import { yaml, notes: notes.0 })
}

fn exec(mut exec: Section, notes: &mut Notes) {
    let threads =
        "because one object is read by one worker in its own order; Lambda runs as many as there are objects";
    let guess = "because guessing is a command of its own: `holoload guess`";
    exec.drop_all(
        notes,
        &[
            ("max_threads", threads),
            ("min_output_tasks", threads),
            ("page_size", "because there are no pages"),
            ("guess_plugins", guess),
            ("exclude_guess_plugins", guess),
            ("guess_sample_buffer_bytes", "use `holoload guess --sample-bytes`"),
            ("preview_sample_buffer_bytes", "because `holoload preview` reads as much as its rows need"),
            ("preview_sample_rows", "use `holoload preview -n`"),
        ],
    );
    exec.end(notes, "`exec`");
}

/// `{{ env.NAME }}` is our `${NAME}`; whatever else Liquid does must have been done before.
fn without_variables(text: &str) -> Result<String> {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let (before, from) = rest.split_at(at);
        kept.push_str(before);
        let inside = from.strip_prefix("{{").and_then(|inside| inside.split_once("}}"));
        let name = inside.and_then(|(inside, _)| inside.trim().strip_prefix("env."));
        let is_name =
            |name: &&str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        match (inside, name.filter(is_name)) {
            (Some((_, after)), Some(name)) => {
                kept.push_str(&format!("${{{name}}}"));
                rest = after;
            }
            _ => return Err(template("{{ … }}")),
        }
    }
    kept.push_str(rest);
    if kept.contains("{%") {
        return Err(template("{% … %}"));
    }
    if kept.contains("<%") {
        return Err(Error::config("import the Embulk file: it is an ERB template (`<% … %>`)")
            .with_hint("write it out first: `erb config.yml.erb > config.yml`; `{{ env.NAME }}` is understood and becomes ${NAME}"));
    }
    Ok(kept)
}

fn template(sign: &str) -> Error {
    Error::config(format!("import the Embulk file: it is a Liquid template (`{sign}`)")).with_hint(
        "`{{ env.NAME }}` alone is understood and becomes ${NAME}: write out includes, conditions and filters first",
    )
}
