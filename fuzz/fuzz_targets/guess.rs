//! Any bytes are guessed or refused; what is guessed is a configuration that is read, and is guessed again.
//! The first byte of an input says whether it is all of a file.
#![no_main]

use holoload::error::Class;
use holoload::guess::{Hints, Sample, guess};
use holoload::settings::{Environment, Settings};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((flags, head)) = data.split_first() else { return };
    let name = ["a.csv", "b.tsv", "c.jsonl", "d"][usize::from(flags >> 1) % 4];
    let sample = Sample { head, is_whole: flags & 1 == 0, name, ..Sample::default() };
    match guess(&sample, &Hints::default()) {
        Ok(guessed) => {
            assert!((0.0..=1.0).contains(&guessed.sure), "{}", guessed.sure);
            let yaml = guessed.yaml(name, Some("public.t"));
            let read = Settings::read(Some(&yaml), &Environment::of([]));
            assert!(read.is_ok(), "{}\n{yaml}", read.expect_err("is no configuration"));
            assert_eq!(guess(&sample, &Hints::default()).expect("guessed before"), guessed);
        }
        Err(error) => {
            assert_eq!(error.class(), Class::Input, "{error}");
            assert!(error.hint().is_some(), "{error}");
        }
    }
});
