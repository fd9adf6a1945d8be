//! The object is overwritten between two bytes of its body: rows of one version or of the other, never of bytes of both.

use crate::history::{Content, Mode, Trouble};
use crate::place::{DIALECTS, Dialect, Place};
use crate::play::Play;
use crate::random::Random;

const SMALL: std::ops::Range<u32> = 0..120;
/// Of about 7 KiB each: two batches.
const WIDE: std::ops::Range<u32> = 0..200;
const PAD: usize = 1_400;
const POINTS: u64 = 11;
const POINTS_WIDE: u64 = 4;

/// Of the same length to the byte: a reader that joined them would not notice by counting.
fn versions(ids: std::ops::Range<u32>, pad: usize) -> Vec<Content> {
    ["base", "held", "came"].map(|name| Content::of(ids.clone(), name, pad)).to_vec()
}

struct Seen {
    points: u64,
    superseded: u64,
    loaded: u64,
}

/// The second version is overwritten by the third while it is read, after each of so many bytes.
fn overwrite_everywhere(place: &Place, is_versioned: bool, is_cut: bool, seen: &mut Seen) {
    for (ids, pad, points) in [(SMALL, 0, POINTS), (WIDE, PAD, POINTS_WIDE)] {
        let size = Content::of(ids.clone(), "held", pad).text().len() as u64;
        for step in 0..points {
            // The first bytes and the last ones as well.
            let bytes = if step + 1 == points { size - 1 } else { size * step / points };
            let name = format!("{is_versioned}-{is_cut}-{pad}-{step}");
            let mut play = Play::of_one(place, Mode::Upsert, is_versioned, &name, versions(ids.clone(), pad));
            play.put(0);
            assert_eq!(play.deliver(&[(0, 0, None)]), ["loaded"]);
            play.put(0);
            let overwrite = Trouble::Overwrite { bytes, is_cut };
            let answers = play.deliver(&[(0, 1, Some(&overwrite))]);
            // A version is read on whatever came after it; without versions the rest is not there any more.
            let expected = if is_versioned || !is_cut { "loaded" } else { "superseded" };
            assert_eq!(answers, [expected], "{bytes} of {size}: {}", play.told());
            assert_eq!(play.counts.overwrites, 1, "{}", play.told());
            if place.dialect == Dialect::PostgreSql {
                let wanted = if expected == "loaded" { "held" } else { "base" };
                assert!(
                    place.rows(Mode::Upsert).iter().all(|row| row.name == wanted),
                    "{bytes}: {}",
                    play.told()
                );
            }
            seen.points += 1;
            seen.loaded += u64::from(expected == "loaded");
            seen.superseded += u64::from(expected == "superseded");
            play.assert_right(&mut Random::new(step), &format!("overwritten after {bytes} of {size} bytes"));
            assert!(place.rows(Mode::Upsert).iter().all(|row| row.name == "came"), "{}", play.told());
        }
    }
}

fn prove(dialect: Dialect, name: &str) {
    let place = Place::new(dialect, name);
    let mut seen = Seen { points: 0, superseded: 0, loaded: 0 };
    for is_versioned in [false, true] {
        for is_cut in [true, false] {
            overwrite_everywhere(&place, is_versioned, is_cut, &mut seen);
        }
    }
    let Seen { points, superseded, loaded } = seen;
    println!("{dialect:?}: overwritten at {points} points: {loaded} read on, {superseded} superseded");
}

#[test]
fn an_object_overwritten_at_any_byte_is_never_mixed_on_postgresql() {
    prove(Dialect::PostgreSql, "body");
}

#[test]
fn an_object_overwritten_at_any_byte_is_never_mixed_on_hologres() {
    prove(Dialect::Hologres, "body");
}

/// What a reader without a pin would load: the first half of one version, then the second half of the next. The real
/// loader loads it, from an object that was put so, and the check sees it.
#[test]
fn mixed_bytes_are_seen() {
    for dialect in DIALECTS {
        let place = Place::new(dialect, "body_planted");
        for cut in [1_000, 2_003] {
            let mut play =
                Play::of_one(&place, Mode::Upsert, true, &format!("mixed-{cut}"), versions(SMALL, 0));
            let [held, came] = [1, 2].map(|version| play.objects[0].versions[version].text());
            play.put(0);
            play.deliver(&[(0, 0, None)]);
            let mixed = format!("{}{}", &held[..cut], &came[cut..]);
            play.put_as(0, mixed);
            assert_eq!(play.deliver(&[(0, 1, None)]), ["loaded"]);
            let found = play.violations();
            assert!(found.iter().any(|one| one.starts_with("(a)")), "{dialect:?}, cut at {cut}: {found:?}");
        }
    }
}
