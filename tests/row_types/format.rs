//! Times by a pattern: what each directive reads, what is refused and why, patterns of other programs.

use holoload::row::{Civil, Reason, TimeFormat, from_java, from_ruby};
use proptest::prelude::*;

const DAY: i64 = 86_400_000_000;

fn format(pattern: &str) -> TimeFormat {
    TimeFormat::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
}

/// What a text says, written as jiff reads it: date, time, zone.
fn said(civil: &Civil<'_>) -> String {
    let date = civil.days.map(|days| {
        let epoch = jiff::civil::date(2000, 1, 1);
        epoch.checked_add(jiff::Span::new().days(days)).unwrap().to_string()
    });
    let time = civil.micros.map(|micros| {
        if micros == DAY {
            return "24:00:00".to_owned();
        }
        let midnight = jiff::civil::time(0, 0, 0, 0);
        let mut text = midnight.checked_add(jiff::Span::new().microseconds(micros)).unwrap().to_string();
        if civil.is_finer {
            text.push('+');
        }
        text
    });
    let zone = civil.zone.map(|zone| String::from_utf8(zone.to_vec()).unwrap());
    [date, time, zone].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[rustfmt::skip]
const READ: &[(&str, &str, &str)] = &[
    ("%Y-%m-%d", "2014-01-31", "2014-01-31"),
    ("%Y-%m-%d", "2014-1-3", "2014-01-03"),
    ("%F", "2014-01-31", "2014-01-31"),
    ("%Y%m%d", "20140131", "2014-01-31"),
    ("%4Y%m%d", "20140131", "2014-01-31"),
    ("%-d.%-m.%Y", "3.1.2014", "2014-01-03"),
    ("%D", "01/31/68", "2068-01-31"),
    ("%m/%d/%y", "01/31/69", "1969-01-31"),
    ("%m/%d/%y", "01/31/99", "1999-01-31"),
    ("%m/%d/%y", "01/31/00", "2000-01-31"),
    ("%Y-%j", "2024-366", "2024-12-31"),
    ("%Y%j", "2024001", "2024-01-01"),
    ("%Y年%m月%d日", "2024年1月5日", "2024-01-05"),
    ("%Y年%m月%d日(%a)", "2024年1月5日(金)", "2024-01-05"),
    ("%Y年%m月%d日 %A", "2024年1月5日 金曜日", "2024-01-05"),
    ("%d %b %Y", "20 Feb 2015", "2015-02-20"),
    ("%d %B %Y", "20 FEBRUARY 2015", "2015-02-20"),
    ("%d-%h-%y", "20-feb-15", "2015-02-20"),
    ("%B %d, %Y", "May 1, 2015", "2015-05-01"),
    ("%a, %d %b %Y", "Fri, 20 Feb 2015", "2015-02-20"),
    ("%A %d %b %Y", "friday 20 Feb 2015", "2015-02-20"),
    ("%b %e %Y", "May  1 2015", "2015-05-01"),
    ("%b %d %Y", "May  1 2015", "2015-05-01"),
    ("%d%%%m%%%Y", "20%02%2015", "2015-02-20"),
    ("%Y", "x", "!has a date without a month"),
    ("%H:%M:%S", "23:59:59", "23:59:59"),
    ("%T", "1:02:03", "01:02:03"),
    ("%R", "24:00", "24:00:00"),
    ("%H", "7", "07:00:00"),
    ("%k:%M", " 7:05", "07:05:00"),
    ("%H%M%S", "235959", "23:59:59"),
    ("%H%M%S%L", "235959123", "23:59:59.123"),
    ("%H:%M:%S.%N", "23:59:59.5", "23:59:59.5"),
    ("%H:%M:%S.%f", "23:59:59.123456", "23:59:59.123456"),
    ("%H:%M:%S,%L", "23:59:59,123456789", "23:59:59.123456+"),
    ("%H:%M:%S.%N", "23:59:59.1234560000000", "23:59:59.123456"),
    ("%H:%M:%S.%6N", "23:59:59.123", "23:59:59.123"),
    ("%S%3N%M%H", "591235923", "23:59:59.123"),
    ("%I:%M %p", "12:00 AM", "00:00:00"),
    ("%I:%M %p", "12:59 am", "00:59:00"),
    ("%I:%M %p", "12:00 PM", "12:00:00"),
    ("%I:%M%P", "1:05pm", "13:05:00"),
    ("%l:%M %p", " 1:05 p.m.", "13:05:00"),
    ("%r", "11:59:59 PM", "23:59:59"),
    ("%p%I時%M分", "午後1時05分", "13:05:00"),
    ("%Y-%m-%d %H:%M:%S %z", "2014-01-31 01:02:03 +0900", "2014-01-31 01:02:03 +0900"),
    ("%Y-%m-%dT%H:%M:%S%z", "2014-01-31T01:02:03Z", "2014-01-31 01:02:03 Z"),
    ("%FT%T%:z", "2014-01-31T01:02:03-05:30", "2014-01-31 01:02:03 -05:30"),
    ("%FT%T%::z", "2014-01-31T01:02:03+05:30:15", "2014-01-31 01:02:03 +05:30:15"),
    ("%FT%T%z", "2014-01-31T01:02:03+09", "2014-01-31 01:02:03 +09"),
    ("%F %T %Z", "2014-01-31 01:02:03 Asia/Tokyo", "2014-01-31 01:02:03 Asia/Tokyo"),
    ("%F %T %Z", "2014-01-31 01:02:03 JST", "2014-01-31 01:02:03 JST"),
    ("%a %b %e %H:%M:%S %Z %Y", "Fri Feb 20 22:02:34 UTC 2015", "2015-02-20 22:02:34 UTC"),
    ("%d/%b/%Y:%H:%M:%S %z", "07/Mar/2004:16:05:50 -0800", "2004-03-07 16:05:50 -0800"),
    ("%s", "0", "1970-01-01 00:00:00 Z"),
    ("%s", "1400000000", "2014-05-13 16:53:20 Z"),
    ("%s", "-1", "1969-12-31 23:59:59 Z"),
    ("%s.%N", "1400000000.25", "2014-05-13 16:53:20.25 Z"),
    ("%s.%L", "-1.5", "1969-12-31 23:59:58.5 Z"),
    ("%s.%N", "-0.5", "1969-12-31 23:59:59.5 Z"),
    ("%Q", "1400000000123", "2014-05-13 16:53:20.123 Z"),
];

#[test]
fn patterns_read_what_they_say() {
    for (pattern, text, expected) in READ {
        let outcome = match TimeFormat::new(pattern) {
            Ok(format) => format
                .parse(text.as_bytes())
                .map_or_else(|reason| format!("{reason:?}"), |civil| said(&civil)),
            Err(error) => format!("!{}", error.to_string().split_once("` ").unwrap().1),
        };
        assert_eq!(outcome, *expected, "{text} by {pattern}");
    }
}

#[test]
fn texts_that_a_pattern_does_not_read_have_a_reason() {
    use Reason::{NoSuchDay, NoSuchTime, NotFormat, UnknownZone, WrongWeekday, Year};
    for (pattern, text, reason) in [
        ("%Y-%m-%d", "", NotFormat),
        ("%Y-%m-%d", "2014-01-31 ", NotFormat),
        ("%Y-%m-%d", " 2014-01-31", NotFormat),
        ("%Y-%m-%d", "2014/01/31", NotFormat),
        ("%Y-%m-%d", "14-01-31", NotFormat),
        ("%Y-%m-%d", "02014-01-31", NotFormat),
        ("%Y-%m-%d", "2014-01-031", NotFormat),
        ("%Y-%m-%d", "2014-02-29", NoSuchDay),
        ("%Y-%m-%d", "2014-13-01", NoSuchDay),
        ("%Y-%m-%d", "2014-01-00", NoSuchDay),
        ("%Y-%m-%d", "0000-01-01", Year),
        ("%Y%m%d", "2014131", NotFormat),
        ("%d/%m/%y", "1/1/5", NotFormat),
        ("%Y-%j", "2023-366", NoSuchDay),
        ("%Y-%j", "2023-0", NoSuchDay),
        ("%d %b %Y", "20 Foo 2015", NotFormat),
        ("%d %b %Y", "20 Février 2015", NotFormat),
        ("%a, %d %b %Y", "Sat, 20 Feb 2015", WrongWeekday),
        ("%Y年%m月%d日(%a)", "2024年1月5日(土)", WrongWeekday),
        ("%H:%M:%S", "23:59:60", NoSuchTime),
        ("%H:%M:%S", "24:00:01", NoSuchTime),
        ("%H:%M:%S.%N", "24:00:00.0000001", NoSuchTime),
        ("%H:%M:%S.%N", "24:00:00.1", NoSuchTime),
        ("%H:%M", "23:60", NoSuchTime),
        ("%H:%M", " :30", NotFormat),
        ("%I:%M %p", "13:00 PM", NoSuchTime),
        ("%I:%M %p", "0:00 AM", NoSuchTime),
        ("%I:%M %p", "1:00 XM", NotFormat),
        ("%H:%M:%S.%N", "23:59:59.", NotFormat),
        ("%H:%M:%S.%N", "23:59:59", NotFormat),
        ("%F %T%z", "2014-01-31 01:02:03", NotFormat),
        ("%F %T%z", "2014-01-31 01:02:03+9", UnknownZone),
        ("%F %T %z", "2014-01-31 01:02:03 JST", UnknownZone),
        ("%s", "1.5", NotFormat),
        ("%s", "", NotFormat),
        ("%s", "-", NotFormat),
        ("%s", "999999999999999999", Year),
        ("%s", "1234567890123456789", Year),
        ("%Y-%m-%d", "２０１４-01-31", NotFormat),
        ("%Y-%m-%d", "infinity", NotFormat),
    ] {
        let outcome = format(pattern).parse(text.as_bytes());
        assert_eq!(outcome, Err(reason), "{text} by {pattern}");
    }
}

#[test]
fn patterns_that_do_not_say_a_time_are_refused() {
    for (pattern, expected) in [
        ("", "1 to 256"),
        ("text", "neither a date nor a time"),
        ("%", "unknown directive `%`"),
        ("%Y-%m-%d %", "unknown directive `%`"),
        ("%E", "unknown directive `%E`"),
        ("%c", "%a %b %e"),
        ("%Y-W%V-%u", "weeks"),
        (":%:Y", "unknown directive `%:Y`"),
        ("%2d.%m.%Y", "unknown directive"),
        ("%99N", "unknown directive"),
        ("%Y-%m-%d %Y", "twice"),
        ("%Y %y %m %d", "twice"),
        ("%b %m %d %Y", "twice"),
        ("%Y-%m", "without a day"),
        ("%m-%d", "without a year"),
        ("%Y %d", "without a month"),
        ("%a %H:%M", "without a year"),
        ("%j %m %Y", "day twice"),
        ("%I:%M", "no `%p`"),
        ("%H:%M %p", "no hour of twelve"),
        ("%M:%S", "no hour"),
        ("%H %S", "no minutes"),
        ("%H:%M.%N", "no seconds"),
        ("%s %Y", "1970"),
        ("%s %z", "1970"),
        ("%s%N", "right before"),
        ("%H:%M:%S.%N%Y-%m-%d", "right before"),
    ] {
        let error = TimeFormat::new(pattern).expect_err(pattern);
        let text = format!("{error} | {}", error.hint().expect("a hint"));
        assert!(text.contains(expected), "{pattern}: {text}");
        assert_eq!(error.class().name(), "Config");
    }
}

#[test]
fn a_default_date_stands_in_for_what_is_missing() {
    let date = jiff::civil::date(1970, 1, 31);
    for (pattern, text, expected) in [
        ("%H:%M", "7:05", Ok("1970-01-31 07:05:00")),
        ("%Y-%m", "2014-03", Ok("2014-03-31")),
        ("%Y-%m", "2014-04", Err(Reason::NoSuchDay)),
        ("%m/%d", "02/28", Ok("1970-02-28")),
        ("%m/%d", "02/29", Err(Reason::NoSuchDay)),
        ("%Y-%m-%d", "2014-03-01", Ok("2014-03-01")),
    ] {
        let format = TimeFormat::with_default_date(pattern, date).expect(pattern);
        let outcome = format.parse(text.as_bytes()).map(|civil| said(&civil));
        assert_eq!(outcome, expected.map(str::to_owned), "{text} by {pattern}");
    }
}

#[test]
fn patterns_of_ruby_and_java_are_translated_or_named() {
    for (ruby, expected) in [
        ("%Y-%m-%d %H:%M:%S.%N %z", Ok("%Y-%m-%d %H:%M:%S.%N %Z")),
        ("%-d/%^b/%04Y %%", Ok("%d/%b/%Y %%")),
        ("%c", Ok("%a %b %e %H:%M:%S %Y")),
        ("%s.%3N", Ok("%s.%3N")),
        ("%FT%T%:z", Ok("%FT%T%Z")),
        ("%G-%V", Err("%G")),
        ("%Y%", Err("%")),
    ] {
        let outcome = from_ruby(ruby);
        assert_eq!(outcome.as_deref().map_err(String::as_str), expected, "{ruby}");
        if let Ok(pattern) = outcome {
            format(&pattern);
        }
    }
    for (java, expected) in [
        ("yyyy-MM-dd HH:mm:ss", Ok("%Y-%m-%d %H:%M:%S")),
        ("uuuu-MM-dd'T'HH:mm:ss.SSSXXX", Ok("%Y-%m-%dT%H:%M:%S.%N%z")),
        ("EEE, d MMM yyyy HH:mm:ss z", Ok("%a, %d %b %Y %H:%M:%S %Z")),
        ("dd/MM/yy h:mm a", Ok("%d/%m/%y %I:%M %p")),
        ("yyyy'年'M'月'd'日'", Ok("%Y年%m月%d日")),
        ("yyyy-MM-dd 'o''clock 100%'", Ok("%Y-%m-%d o'clock 100%%")),
        ("YYYY-'W'ww", Err("YYYY")),
        ("yyyy-MM-dd[ HH:mm]", Err("[")),
        ("kk:mm", Err("kk")),
        ("yyyy-MM-dd 'open", Err("'open")),
    ] {
        let outcome = from_java(java);
        assert_eq!(outcome.as_deref().map_err(String::as_str), expected, "{java}");
        if let Ok(pattern) = outcome {
            format(&pattern);
        }
    }
}

proptest! {
    #[test]
    fn any_pattern_and_any_text_are_answered(pattern in "(%[a-zA-Z%:0-9_-]{1,3}|[ -~]|日){0,8}", text in "\\PC{0,24}") {
        if let Ok(format) = TimeFormat::new(&pattern) {
            let _ = format.parse(text.as_bytes());
        }
        let _ = (from_ruby(&pattern), from_java(&text));
    }

    /// What jiff writes by a pattern is read back as what it was.
    #[test]
    fn what_is_written_by_a_pattern_is_read(
        days in -365_000_i64..2_900_000, micros in 0..DAY,
        pattern in prop::sample::select(vec![
            "%Y-%m-%d %H:%M:%S.%6f", "%A, %d %B %Y %I:%M:%S %p .%6f", "%Y%m%d%H%M%S%6f", "%a %b %e %k:%M:%S.%f %Y",
            "%j %Y %l:%M:%S.%6f%p", "%FT%T.%9f",
        ]),
    ) {
        let date = jiff::civil::date(2000, 1, 1).checked_add(jiff::Span::new().days(days)).unwrap();
        prop_assume!(date.year() > 0);
        let moment = date.at(0, 0, 0, 0).checked_add(jiff::Span::new().microseconds(micros)).unwrap();
        let text = moment.strftime(pattern).to_string();
        // jiff leaves the digits out where they are zeros.
        prop_assume!(!pattern.contains(".%f") || micros % 1_000_000 != 0);
        let ours = pattern.replace("%6f", "%6N").replace("%9f", "%9N");
        let format = format(&ours);
        let civil = format.parse(text.as_bytes()).map_err(|reason| TestCaseError::fail(format!("{text}: {reason}")))?;
        prop_assert_eq!((civil.days, civil.micros, civil.is_finer), (Some(days), Some(micros), false));
    }

    /// A valid text with one byte changed is read as another time or not at all, and never panics.
    #[test]
    fn damaged_texts_are_answered(at in 0_usize..24, byte in any::<u8>()) {
        let format = format("%a, %d %b %Y %H:%M:%S %z");
        let mut text = b"Fri, 20 Feb 2015 22:02:34 +0900".to_vec();
        text[at] = byte;
        let _ = format.parse(&text);
    }
}
