//! Japanese text in every charset that it comes in.

use holoload::charset::{self, Charset, Transcoder};
use holoload::guess::Hints;

use crate::dialect::guess_of;
use crate::manifest::{Case, Outcome, cases, settle};

fn decoded(bytes: &[u8], name: &str) -> String {
    let mut text = Vec::new();
    Transcoder::new(Charset::named(name).expect("a charset")).decode(bytes, true, &mut text);
    let text = String::from_utf8(text).expect("all of it decodes");
    text.trim_start_matches('\u{feff}').to_owned()
}

fn check(case: &Case) -> Outcome {
    let bytes = case.bytes();
    let guess = guess_of(&bytes, true, &Hints::default());
    // The name that the guess writes into YAML is what a load reads it by.
    let text = decoded(&bytes, &guess.charset);
    assert_eq!(charset::guess(&bytes, true).name(), guess.charset);
    let is_same = match case.expected["text"].as_str() {
        Some(file) => {
            let theirs = String::from_utf8(case.file(file)).expect("UTF-8");
            let theirs = theirs.trim_start_matches('\u{feff}').to_owned();
            // The bytes of Shift_JIS and CP932 are the same; they differ in which wave dash that is.
            text == theirs || text.replace('～', "〜") == theirs.replace('～', "〜")
        }
        None => text.contains(case.expected["text_inline_has"].as_str().unwrap_or_default()),
    };
    if is_same { Ok(()) } else { Err(format!("another text in {}", guess.charset)) }
}

#[test]
fn japanese_charsets_are_found_and_their_text_is_the_same() {
    let outcomes: Vec<(String, Outcome)> = cases("guess-charset", "charset_and_text")
        .iter()
        .map(|case| (case.id.clone(), check(case)))
        .collect();
    settle("guess-charset (Japanese)", &outcomes, &[]);
}
