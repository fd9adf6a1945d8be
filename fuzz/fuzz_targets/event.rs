//! Any JSON is understood or refused with a way out; whatever is understood says so twice.
#![no_main]

use holoload::error::Class;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(payload) = serde_json::from_slice(data) else { return };
    match holoload::event::parse(&payload) {
        Ok(event) => {
            let again = holoload::event::parse(&payload).expect("understood before");
            assert_eq!(format!("{event:?}"), format!("{again:?}"));
        }
        Err(error) => {
            assert_eq!(error.class(), Class::Input, "{error}");
            assert!(error.hint().is_some(), "{error}");
        }
    }
});
