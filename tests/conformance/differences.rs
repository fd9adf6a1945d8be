//! Cases of what files hold in which we answer otherwise on purpose, and those that are about something no loader
//! does.

/// Checked both ways: a case that is answered as expected does not belong here.
pub(crate) const DELIBERATE: &[(&str, &str)] = &[
    ("csv-spectrum/location_coordinates", "the expected file has another phone number than the input"),
    ("duckdb/007-nullterm.csv", "a NUL byte is in no text that the server can hold: the row is a reject"),
    ("duckdb/085-nullbyte.csv", "a NUL byte"),
    ("duckdb/086-nullbyte_header.csv", "a NUL byte"),
    ("duckdb/109-null_terminator.csv", "a NUL byte"),
    ("duckdb/110-null_terminator.csv", "a NUL byte"),
    ("duckdb/111-null_terminator.csv", "a NUL byte"),
    (
        "duckdb/009-dates.csv",
        "`10/08/2008` is the 8th of October or the 10th of August: the guess says that it cannot tell",
    ),
    ("duckdb/268-dateformat.csv", "`05/06/2019` alike"),
    ("duckdb/029-empty_header.csv", "a first record without any name is no header"),
    (
        "duckdb/088-nullpadding_header.csv",
        "no record has as many fields as the header: the guess does not take the comma for a delimiter",
    ),
    ("duckdb/089-nullpadding_header.csv", "lines of different width are rejects, not values of one column"),
    ("duckdb/090-nullpadding_header.csv", "the same file"),
    (
        "duckdb/099-multiple_nulls.csv",
        "a column without null strings keeps `none`; it does not become the empty text",
    ),
    ("duckdb/100-multiple_quoted_nulls.csv", "the same with quotes"),
    ("duckdb/123-flush.csv", "33.4386 does not fit three decimal places: a reject, not 33.439"),
    (
        "duckdb/129-error.csv",
        "three lines with one, two and three fields have no delimiter that could be guessed",
    ),
    ("duckdb/154-stops.csv", "quotes around every field are quotes, whatever stands inside them"),
    (
        "duckdb/193-no_newline_unicode.csv",
        "a blank before every value of a column is no part of it: the guess says `trim`",
    ),
    ("duckdb/156-unescaped_quote.csv", "quotes inside a field are kept or refused, never dropped"),
    ("duckdb/163-some_escaped_some_not.csv", "quotes inside a field are kept"),
    ("duckdb/164-end_quote_mixed.csv", "a doubled quote stands for one, whatever `escape` is"),
    (
        "duckdb/182-inconsistent_columns_6.csv",
        "the one row with another number of fields is a reject; the others keep their columns",
    ),
    ("duckdb/232-issue5077.csv", "a line that is too short is a reject, not left out"),
    ("duckdb/248-banklist.csv", "`5-Feb-10` is guessed to be a date, which is better typed"),
    ("duckdb/266-bad_escape.csv", "an escape before anything but a mark is data: `\\,` in quotes keeps it"),
    ("duckdb/338-plain.csv", "an escape before a letter is data: `\\Na` is not `Na`"),
    ("duckdb/310-thijs_unquoted.csv", "text after a closing quote is kept or refused, never dropped"),
    ("duckdb/095-multiple_nulls.csv", "an empty list is allowed: no text is NULL"),
    (
        "duckdb/159-unescaped_quote_new_line_rn.csv",
        "stray quotes are data, also before a line end that a blank precedes",
    ),
    (
        "duckdb/239-mixed_new_line_2.csv",
        "with `record_end: crlf` a line feed alone is data, as was asked for",
    ),
    ("duckdb/240-one_r_two.csv", "a line end that was not asked for is data"),
    ("duckdb/241-one_r_two.csv", "a line end that was not asked for is data"),
    ("duckdb/243-one_n_two.csv", "a line end that was not asked for is data"),
    ("duckdb/244-one_n_two.csv", "a line end that was not asked for is data"),
    ("duckdb/246-one_r_n_two.csv", "a line end that was not asked for is data"),
    ("duckdb/247-one_r_n_two.csv", "a line end that was not asked for is data"),
    ("duckdb/330-timestamp_tz.csv", "`1/1/2020` alone, in a column of texts, is guessed to be a date"),
    (
        "duckdb/333-timestamp.csv",
        "with `record_end: cr` the file is one record, which the guess takes for a header",
    ),
    ("rust-csv/strange.csv", "the name without a year is a reject that names both counts"),
];

/// Not run.
pub(crate) const NOT_OURS: &[(&str, &str)] = &[
    ("duckdb/122-flush_cast.csv", "aggregate functions"),
    ("duckdb/340-identical.csv", "a function of SQL over all columns"),
    ("duckdb/313-simple.csv", "separators of numbers are said per column, in `columns`"),
    ("duckdb/314-simple.csv", "separators of numbers are said per column, in `columns`"),
    ("duckdb/134-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/135-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/136-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/137-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/138-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/139-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/140-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/141-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/142-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/143-bad.csv", "options about DuckDB's own table of rejects"),
    ("duckdb/262-evil_nullpadding.csv", "a limit of DuckDB's buffers"),
    ("duckdb/263-evil_nullpadding.csv", "a limit of DuckDB's buffers"),
    ("duckdb/264-evil_nullpadding.csv", "a limit of DuckDB's buffers"),
    ("duckdb/265-evil_nullpadding_2.csv", "a limit of DuckDB's buffers"),
];
