//! The configuration as text, with what should be known as comments.

use super::filters::Changes;
use super::input::Input;
use super::output::Output;
use super::parser::{Column, Parser, text};
use super::{Note, NoteKind};

/// Lines of comments are no longer.
const WIDTH: usize = 110;

pub(super) fn write(input: &Input, changes: &Changes, output: &Output, notes: &[Note]) -> String {
    let mut lines = vec!["# Made from an Embulk file by `holoload import-embulk`.".to_owned()];
    comments(&mut lines, notes, NoteKind::ToDo, "To do:");
    comments(&mut lines, notes, NoteKind::Changed, "What differs from Embulk:");
    target(&mut lines, input, output);
    lines.push(
        "# rejects: s3://BUCKET/rejects/   # bad rows are kept there, while the others load".to_owned(),
    );
    route(&mut lines, input, changes, output);
    comments(&mut lines, notes, NoteKind::NotCarriedOver, "");
    lines.push(String::new());
    lines.join("\n")
}

fn comments(lines: &mut Vec<String>, notes: &[Note], kind: NoteKind, title: &str) {
    let mut these = notes.iter().filter(|note| note.kind == kind).peekable();
    if these.peek().is_none() {
        return;
    }
    lines.push("#".to_owned());
    if !title.is_empty() {
        lines.push(format!("# {title}"));
    }
    for note in these {
        let whole = match kind {
            NoteKind::NotCarriedOver => note.line(),
            NoteKind::Changed | NoteKind::ToDo => format!("- {}: {}", note.option, note.text),
        };
        let whole = whole.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut line = String::from("#");
        for word in whole.split(' ') {
            if line.chars().count() + word.chars().count() >= WIDTH {
                lines.push(std::mem::replace(&mut line, "#  ".to_owned()));
            }
            line.push(' ');
            line.push_str(word);
        }
        lines.push(line);
    }
}

fn target(lines: &mut Vec<String>, input: &Input, output: &Output) {
    let Some(host) = &output.host else {
        lines.push(
            "# target: from HOLOLOAD_HOST, HOLOLOAD_DATABASE, HOLOLOAD_USER and HOLOLOAD_PASSWORD".to_owned(),
        );
        return;
    };
    lines.push("target:".to_owned());
    lines.push(format!("  host: {}", text(host)));
    if let Some(port) = output.port {
        lines.push(format!("  port: {port}"));
    }
    for (name, value) in [("database", &output.database), ("user", &output.user)] {
        lines.extend(value.as_ref().map(|value| format!("  {name}: {}", text(value))));
    }
    lines.extend(output.password.as_ref().map(|variable| format!("  password: {variable}")));
    lines.push("  tls: verify-full".to_owned());
    // Embulk reads times without zone in UTC.
    let zone = input.parser.timezone.as_deref().unwrap_or("UTC");
    lines.push(format!("  timezone: {}", text(zone)));
}

fn route(lines: &mut Vec<String>, input: &Input, changes: &Changes, output: &Output) {
    lines.push("routes:".to_owned());
    lines.push(format!("  - object: {}", text(&input.object)));
    lines.push(format!("    table: {}", text(output.table.as_deref().unwrap_or("TABLE"))));
    let mut members = input.parser.members.clone();
    members.extend(input.compression.map(|compression| ("compression", compression.to_owned())));
    if !members.is_empty() {
        lines.push("    parse:".to_owned());
        lines.extend(members.iter().map(|(name, value)| format!("      {name}: {value}")));
    }
    columns(lines, &input.parser, changes);
    if let Some(write) = output.write {
        lines.push(format!("    write: {write}"));
    }
    if input.parser.stops {
        lines.push("    bad_rows: {max: 0}".to_owned());
    }
}

fn columns(lines: &mut Vec<String>, parser: &Parser, changes: &Changes) {
    let mut said = Vec::new();
    let mut dropped: Vec<String> = Vec::new();
    let mut fields: Vec<Column> = parser.columns.clone();
    // What is renamed though no column is listed (a parser that was still to be guessed).
    if fields.is_empty() {
        fields.extend(changes.spoken().into_iter().map(|name| Column { name, ..Column::default() }));
    }
    for (at, column) in fields.iter().enumerate() {
        let place = if parser.has_header { text(&column.name) } else { (at + 1).to_string() };
        match changes.name_of(&column.name) {
            None => dropped.push(place),
            Some(name) => {
                let rules = rules(column, &name, parser.has_header, &place);
                if !rules.is_empty() {
                    said.push(format!("      {}: {{{}}}", text(&name), rules.join(", ")));
                }
            }
        }
    }
    if !said.is_empty() {
        lines.push("    columns:".to_owned());
        lines.extend(said);
    }
    if !dropped.is_empty() {
        lines.push(format!("    drop: [{}]", dropped.join(", ")));
    }
}

fn rules(column: &Column, name: &str, has_header: bool, place: &str) -> Vec<String> {
    let mut rules = Vec::new();
    let is_moved = !has_header || name != column.name;
    match &column.from {
        Some(path) => rules.push(format!("from: {}", text(path))),
        None if is_moved => rules.push(format!("from: {place}")),
        None => {}
    }
    match column.formats.as_slice() {
        [] => {}
        [one] => rules.push(format!("format: {}", text(one))),
        all => rules
            .push(format!("format: [{}]", all.iter().map(|one| text(one)).collect::<Vec<_>>().join(", "))),
    }
    rules.extend(column.timezone.as_ref().map(|zone| format!("timezone: {}", text(zone))));
    rules.extend(column.date.as_ref().map(|date| format!("default_date: {}", text(date))));
    if !column.null.is_empty() {
        let words = column.null.iter().map(|word| text(word)).collect::<Vec<_>>().join(", ");
        rules.push(format!("null: [{words}]"));
    }
    rules
}
