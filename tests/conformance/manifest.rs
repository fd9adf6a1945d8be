//! The corpus: its cases, and what a category came to.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

/// One case.
pub(crate) struct Case {
    pub(crate) id: String,
    pub(crate) category: String,
    pub(crate) input: Option<PathBuf>,
    pub(crate) options: Value,
    pub(crate) expected: Value,
    pub(crate) root: PathBuf,
}

impl Case {
    /// The bytes of its input.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.input.as_ref().map(|path| fs::read(path).expect("the input of a case")).unwrap_or_default()
    }

    /// A file that the case names.
    pub(crate) fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.root.join(name)).expect("a file of the corpus")
    }

    /// A text of the options.
    pub(crate) fn option(&self, name: &str) -> &str {
        self.options[name].as_str().unwrap_or_default()
    }
}

/// The cases of one category whose expectation is of one kind; none without a corpus.
pub(crate) fn cases(category: &str, kind: &str) -> Vec<Case> {
    let Some(root) = std::env::var_os("HOLOLOAD_CORPUS").map(PathBuf::from) else {
        eprintln!("conformance: {category} was not replayed, HOLOLOAD_CORPUS is not set");
        return Vec::new();
    };
    let manifest = fs::read_to_string(root.join("MANIFEST.jsonl")).expect("MANIFEST.jsonl");
    let cases = manifest.lines().map(|line| {
        let case: Value = serde_json::from_str(line).expect("a line of the manifest");
        Case {
            id: case["id"].as_str().unwrap_or_default().to_owned(),
            category: case["category"].as_str().unwrap_or_default().to_owned(),
            input: case["input"].as_str().map(|input| root.join(input)),
            options: case["options"].clone(),
            expected: case["expected"].clone(),
            root: root.clone(),
        }
    });
    cases.filter(|case| case.category == category && case.expected["kind"] == kind).collect()
}

/// What a case came to: agreed, or what is different.
pub(crate) type Outcome = Result<(), String>;

/// Prints the score and fails for each difference that is not listed, and for each listed one that is none any more.
pub(crate) fn settle(name: &str, outcomes: &[(String, Outcome)], deliberate: &[(&str, &str)]) {
    if outcomes.is_empty() {
        return;
    }
    let agreed = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    let is_listed = |id: &str| deliberate.iter().any(|(listed, _)| *listed == id);
    let mut wrong = Vec::new();
    let mut explained = 0;
    for (id, outcome) in outcomes {
        match outcome {
            Ok(()) if is_listed(id) => wrong.push(format!("{id} is listed as a difference and agrees")),
            Err(_) if is_listed(id) => explained += 1,
            Err(what) => wrong.push(format!("{id}: {what}")),
            Ok(()) => {}
        }
    }
    let page = include_str!("../../docs/conformance.md");
    for (id, reason) in deliberate {
        assert!(!reason.is_empty());
        if !page.contains(&format!("| {id} |")) {
            wrong.push(format!("docs/conformance.md does not name {id}"));
        }
        if outcomes.iter().all(|(known, _)| known != id) {
            wrong.push(format!("{id} is listed as a difference and no case"));
        }
    }
    eprintln!("conformance: {name}: {agreed} of {} agree, {explained} differ on purpose", outcomes.len());
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}
