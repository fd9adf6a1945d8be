//! No delivery is answered as done before the ledger knows how it ended: it comes again, and then the ledger does.

use crate::history::{Content, Mode};
use crate::place::{DIALECTS, Dialect, Place};
use crate::play::Play;
use crate::random::Random;
use crate::support::standin::Fault;

fn versions() -> Vec<Content> {
    vec![Content::of(0..4, "older", 0), Content::of(2..6, "newer", 0)]
}

#[test]
fn an_overtaken_delivery_that_the_ledger_did_not_hear_of_comes_again() {
    for dialect in DIALECTS {
        let place = Place::new(dialect, "unheard");
        let mut play = Play::of_one(&place, Mode::Upsert, true, "overtaken", versions());
        play.put(0);
        play.put(0);
        assert_eq!(play.deliver(&[(0, 1, None)]), ["loaded"]);
        place.world.database.query("REVOKE INSERT ON holoload_ledger FROM app");
        assert_eq!(play.deliver(&[(0, 0, None)]), ["Access"], "the ledger cannot be written");
        assert!(play.told().contains("tell the ledger that the object is superseded"), "{}", play.told());
        place.world.database.query("GRANT INSERT ON holoload_ledger TO app");
        play.assert_right(&mut Random::new(1), "heard at last");
    }
}

/// On Hologres the line of a load that is done is written after it.
#[test]
fn a_load_that_the_ledger_did_not_hear_of_comes_again() {
    let place = Place::new(Dialect::Hologres, "unheard_load");
    let standin = place.standin.as_ref().expect("a stand-in");
    let mut play = Play::of_one(&place, Mode::Upsert, true, "loaded", versions());
    play.put(0);
    standin.inject(Fault::FailStatement {
        sql_contains: "INSERT INTO \"public\".\"holoload_ledger\"".to_owned(),
        code: "53100",
        message: "could not extend file: No space left on device".to_owned(),
        skip: 0,
        times: u32::MAX,
    });
    assert_eq!(play.deliver(&[(0, 0, None)]), ["Config"]);
    assert!(play.told().contains("tell the ledger that the object is loaded"), "{}", play.told());
    assert_eq!(place.rows(Mode::Upsert).len(), 4, "its rows are there");
    standin.clear_faults();
    assert_eq!(play.deliver(&[(0, 0, None)]), ["skipped"]);
    play.assert_right(&mut Random::new(1), "heard at last");
}
