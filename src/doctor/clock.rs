//! This machine's clock against others.

use super::Check;
use crate::error::Class;

/// A clock that is further off is worth a look.
const WARN_S: u64 = 60;
/// AWS refuses signatures that are 15 minutes off, AKv4 passwords change with the day: too near to that.
const FAIL_S: u64 = 300;

/// `skews`: by how many seconds whose clock is ahead of ours.
pub(super) fn check(skews: &[(&str, Option<i64>)]) -> Check {
    const NAME: &str = "clock";
    let told: Vec<(&str, i64)> = skews.iter().filter_map(|(whose, skew)| Some((*whose, (*skew)?))).collect();
    let Some((whose, worst)) = told.iter().max_by_key(|(_, skew)| skew.unsigned_abs()) else {
        return Check::skipped(NAME, "nobody told the time");
    };
    if worst.unsigned_abs() <= WARN_S {
        let names: Vec<&str> = told.iter().map(|(whose, _)| *whose).collect();
        return Check::ok(NAME, format!("within {WARN_S} s of {}", names.join(", ")));
    }
    let side = if *worst > 0 { "behind" } else { "ahead of" };
    let found = format!("{} s {side} {whose}", worst.unsigned_abs());
    let hint = "set the machine's clock by NTP: AWS refuses signatures that are 15 minutes off, and AKv4 passwords are of \
                one day (UTC)";
    if worst.unsigned_abs() > FAIL_S {
        Check::fail(NAME, Class::Access, found, hint)
    } else {
        Check::warn(NAME, found, hint)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::check;

    #[test]
    fn the_clock_that_is_furthest_off_decides() {
        let of = |aws, database| check(&[("AWS", aws), ("the database", database)]);
        assert_eq!(of(None, None).status, Status::Skipped);
        for (aws, database, status) in [
            (Some(60), None, Status::Ok),
            (Some(0), Some(-61), Status::Warn),
            (Some(300), Some(10), Status::Warn),
            (None, Some(301), Status::Fail),
            (Some(-86_400), Some(0), Status::Fail),
        ] {
            assert_eq!(of(aws, database).status, status, "{aws:?} {database:?}");
        }
        assert_eq!(of(Some(400), Some(0)).found, "400 s behind AWS");
        assert_eq!(of(Some(0), Some(-400)).found, "400 s ahead of the database");
    }
}
