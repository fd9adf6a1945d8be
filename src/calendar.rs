//! Days of the proleptic Gregorian calendar, counted from 2000-01-01 as PostgreSQL counts them; year 0 is 1 BC. A year is counted
//! from March, so that the leap day is its last, and 400 years always have as many days.

const DAYS_TO_2000: i64 = 730_425;
const DAYS_OF_400_YEARS: i64 = 146_097;
/// Days from 1970-01-01 to 2000-01-01.
pub const DAYS_FROM_1970: i64 = 10_957;

/// Days to a date; the month and day are not checked.
pub fn days_to(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let months_since_march = (month + 9) % 12;
    let day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - DAYS_TO_2000
}

/// Year, month and day of a number of days.
pub fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days.saturating_add(DAYS_TO_2000);
    let (era, day) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let months_since_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * months_since_march + 2) / 5 + 1;
    let month = if months_since_march < 10 { months_since_march + 3 } else { months_since_march - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_dates_are_the_same() {
        for (days, date) in [
            (0, (2000, 1, 1)),
            (-DAYS_FROM_1970, (1970, 1, 1)),
            (59, (2000, 2, 29)),
            (36_583, (2100, 2, 28)),
            (36_584, (2100, 3, 1)),
            (-730_485, (0, 1, 1)),
            (2_145_031_948, (5_874_897, 12, 31)),
        ] {
            assert_eq!((date_of(days), days_to(date.0, date.1, date.2)), (date, days));
        }
        for days in (-1_000_000..1_000_000).step_by(7) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_to(year, month, day), days);
        }
        // The outermost numbers are answered, too.
        let _ = (date_of(i64::MIN), date_of(i64::MAX));
    }
}
