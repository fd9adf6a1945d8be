use super::*;

/// What a line of the table of refusals (SQLSTATE and text) must come to: kind, class, attempts.
type Case = (&'static str, &'static str, Kind, Class, u32);

const fn transient(code: &'static str, text: &'static str, kind: Kind, retry_max: u32) -> Case {
    (code, text, kind, Class::Transient, retry_max)
}

const fn refused(code: &'static str, text: &'static str, kind: Kind, class: Class) -> Case {
    (code, text, kind, class, 0)
}

/// Texts as the server words them, with what stands around the part that is looked for.
const TRANSIENT: &[Case] = &[
    transient("08006", "", Kind::Connection, 3),
    transient("XX000", "This connection has been closed.", Kind::Connection, 3),
    transient("XX000", "internal error: kConnectError to 10.0.0.1:8080", Kind::Connection, 3),
    transient("XX000", "internal error: Connection refused", Kind::Connection, 3),
    transient("XX000", "ERPC_ERROR_CONNECTION_CLOSED, message: …", Kind::Connection, 3),
    transient("28P01", "Invalid expire_time", Kind::ExpiredPassword, 3),
    transient("XX000", "internal error: Write is not allowed in readonly mode", Kind::ReadOnly, 3),
    transient("XX000", "WriteLogRecord is not allowed in readonly mode", Kind::ReadOnly, 3),
    transient("25006", "Write is not allowed in readonly mode", Kind::ReadOnly, 3),
    transient("53000", "", Kind::Busy, 3),
    transient("53400", "", Kind::Busy, 3),
    transient("XX000", "Resource busy", Kind::Busy, 3),
    transient("XX000", "Fail to fetch table group meta from store master", Kind::Busy, 3),
    transient("XX000", "Get rundown is not allowed in recovering state", Kind::Busy, 3),
    transient("XX000", "internal error: the workers or shards are unhealthy", Kind::Busy, 3),
    transient("XX000", "internal error: shard not ready", Kind::Busy, 2),
    transient("53300", "sorry, too many clients already", Kind::TooManyConnections, 3),
    transient("XX000", "too many clients already, limit 128", Kind::TooManyConnections, 3),
    transient(
        "53300",
        "remaining connection slots are reserved for non-replication superuser connections",
        Kind::TooManyConnections,
        3,
    ),
    transient("XX000", "remaining connection slots are reserved", Kind::TooManyConnections, 3),
    ("42703", "column \"x\" of relation \"t\" does not exist", Kind::StaleMeta, Class::Config, 1),
    transient("42P01", "Invalid table id 12", Kind::StaleMeta, 3),
    transient("XX000", "Refresh meta timeout", Kind::StaleMeta, 3),
    transient(
        "XX000",
        "version 4 of \"t\" mismatches the version of the table in server 5",
        Kind::StaleMeta,
        3,
    ),
    transient("XX000", "could not open relation with OID 16384", Kind::StaleMeta, 3),
    transient("XX000", "internal error: replay not finished yet", Kind::StaleMeta, 3),
    transient("XX000", "Table not found, table id: 12", Kind::StaleMeta, 3),
    transient("XX000", "fail to execute query Table not found", Kind::StaleMeta, 3),
    transient("0A000", "cached plan must not change result type", Kind::StaleMeta, 3),
    transient("XX000", "ERPC_ERROR_TIMEOUT, message: …", Kind::Overload, 3),
    transient("XX000", "status { code: kTimedOut }", Kind::Overload, 3),
    transient("XX000", "BackPresure Exceed Reject Limit ctx …", Kind::Overload, 3),
    transient("XX000", "internal error: babysitter 3 is not ready", Kind::Overload, 3),
    transient("XX000", "kActorNotExist", Kind::Overload, 3),
    transient("XX000", "kActorInvokeError", Kind::Overload, 3),
    transient("XX000", "Cannot acquire lock in time, current owners: []", Kind::Overload, 3),
    transient("XX000", "Connect timeout, err: std_exception: Semaphore timedout: backend", Kind::Overload, 3),
    transient("HG000", "", Kind::NeedRetry, 3),
    transient("HG001", "", Kind::NeedRetry, 3),
    transient("57P01", "terminating connection due to administrator command", Kind::Restart, 3),
    transient("57P02", "", Kind::Restart, 3),
    transient("57P03", "the database system is starting up", Kind::Restart, 3),
    transient("57014", "canceling statement due to statement timeout", Kind::Timeout, 1),
    transient("57014", "canceling statement due to user request", Kind::Timeout, 1),
    transient("53200", "out of memory", Kind::Memory, 3),
    transient(
        "XX000",
        "Total memory used by all existing queries exceeded memory limitation",
        Kind::Memory,
        3,
    ),
    transient("XX000", "query exceed per query memory limitation", Kind::Memory, 3),
    transient("40001", "", Kind::Lock, 3),
    transient("40P01", "deadlock detected", Kind::Lock, 3),
    transient("55P03", "canceling statement due to lock timeout", Kind::Lock, 3),
    transient("XX000", "tuple concurrently updated", Kind::Internal, 1),
    transient("XX000", "internal error: whatever else", Kind::Internal, 1),
    transient("58030", "", Kind::Internal, 3),
];

const REFUSED: &[Case] = &[
    refused("28000", "", Kind::Authentication, Class::Access),
    refused("28P01", "password authentication failed for user \"x\"", Kind::Authentication, Class::Access),
    refused(
        "XX000",
        "Cloud authentication failed for access id \"LTAI\"",
        Kind::Authentication,
        Class::Access,
    ),
    refused("42704", "role \"p4_123\" does not exist", Kind::Authentication, Class::Access),
    refused(
        "28000",
        "no pg_hba.conf entry for host \"127.0.0.1\", user \"u\", database \"d\", no encryption",
        Kind::AllowList,
        Class::Access,
    ),
    refused("28000", "no pg_hba.conf entry for host \"::1\", SSL on", Kind::AllowList, Class::Access),
    refused("25006", "cannot execute INSERT in a read-only transaction", Kind::ReadOnly, Class::Config),
    refused("53100", "", Kind::DiskFull, Class::Config),
    refused("42501", "permission denied for table t", Kind::Permission, Class::Access),
    refused("42P01", "relation \"t\" does not exist", Kind::NoSuchTable, Class::Config),
    refused("42704", "type \"t\" does not exist", Kind::NoSuchTable, Class::Config),
    refused("42883", "", Kind::NoSuchTable, Class::Config),
    refused("3D000", "", Kind::NoSuchTable, Class::Config),
    refused("3F000", "", Kind::NoSuchTable, Class::Config),
    refused("42P10", "", Kind::Definition, Class::Config),
    refused("42804", "", Kind::Definition, Class::Config),
    refused("42846", "", Kind::Definition, Class::Config),
    refused("23502", "", Kind::Row, Class::Input),
    refused("23505", "duplicate key value violates unique constraint \"t_pkey\"", Kind::Row, Class::Input),
    refused("23514", "new row for relation \"t\" violates partition constraint", Kind::Row, Class::Input),
    refused("XX000", "new row for relation \"t\" violates partition constraint", Kind::Row, Class::Input),
    refused("XX000", "Update row with Key (x)=(Resource busy) multiple times", Kind::Row, Class::Input),
    refused("XX000", "Duplicate keys detected when building hash table", Kind::Row, Class::Input),
    refused("21000", "", Kind::Row, Class::Input),
    refused("22000", "", Kind::Row, Class::Input),
    refused("22001", "", Kind::Row, Class::Input),
    refused("22003", "", Kind::Row, Class::Input),
    refused("22007", "", Kind::Row, Class::Input),
    refused("22008", "", Kind::Row, Class::Input),
    refused("22021", "", Kind::Row, Class::Input),
    refused("22023", "", Kind::Row, Class::Input),
    refused("22P02", "", Kind::Row, Class::Input),
    refused("22P05", "", Kind::Row, Class::Input),
    refused("42602", "", Kind::Row, Class::Input),
    refused("44000", "", Kind::Row, Class::Input),
    refused("54000", "index row size 2712 exceeds btree version 4 maximum 2704", Kind::Row, Class::Input),
    refused("P0001", "", Kind::Row, Class::Input),
    refused("UE042", "", Kind::Row, Class::Input),
    refused("23514", "no partition of relation \"t\" found for row", Kind::NoPartition, Class::Input),
    refused("XX000", "The specified partition does not exist.", Kind::NoPartition, Class::Input),
    refused("22P04", "missing data for column \"x\". failed to query next", Kind::LoaderBug, Class::Bug),
    refused("54000", "query length 204800 exceeded the maximum 102400", Kind::LoaderBug, Class::Bug),
    refused("0A000", "INSERT in ddl transaction is not supported now", Kind::LoaderBug, Class::Bug),
    refused("XX000", "INSERT in transaction is not supported now", Kind::LoaderBug, Class::Bug),
    refused("0A000", "", Kind::NotSupported, Class::Config),
    refused("XX000", "Could not generate fixed plan", Kind::NotSupported, Class::Config),
    refused(
        "XX000",
        "Build desc failed: Currently, Hologres can support just one set-returned function",
        Kind::NotSupported,
        Class::Config,
    ),
    refused("XX000", "insert into parent table", Kind::NotSupported, Class::Config),
    refused("XX000", "Feature not supported: UPDATE with shard keys", Kind::NotSupported, Class::Config),
    refused("XX000", "Not support this type", Kind::NotSupported, Class::Config),
    refused("42601", "syntax error", Kind::Unknown, Class::Bug),
];

#[test]
fn every_refusal_has_its_kind_its_class_and_its_attempts() {
    for (code, text, kind, class, retry_max) in TRANSIENT.iter().chain(REFUSED) {
        let rule = find(code, text, false);
        assert_eq!((rule.kind, rule.class, rule.retry_max), (*kind, *class, *retry_max), "{code} {text}");
        assert!(!rule.hint.is_empty() && rule.pause_ms > 0, "{code} {text}");
    }
}

#[test]
fn the_door_says_who_is_not_let_in_whatever_the_sqlstate() {
    let text = "Rejected by ip white list.\ndb = demo, usr=LTAI, ip=203.0.113.7";
    for code in ["28000", "XX000", "P0001", "22023"] {
        let rule = find(code, text, true);
        assert_eq!((rule.kind, rule.class, rule.retry_max), (Kind::AllowList, Class::Access, 0), "{code}");
        assert!(rule.hint.contains("{ip}"));
    }
}

/// Every SQLSTATE and every pattern of every rule decides something.
#[test]
fn no_rule_is_out_of_reach() {
    let text_of = |pattern: &str| pattern.trim_start_matches('^').trim_end_matches('$').replace('…', "x ");
    for (at, rule) in RULES.iter().enumerate() {
        let codes: &[&str] = match rule.codes {
            Codes::Any => &["XX000", "99999", "01000"],
            Codes::Of(codes) => codes,
            Codes::MadeUp => &["UE042", "90001"],
        };
        let texts: Vec<String> = match rule.says {
            [] => vec![String::new()],
            says => says.iter().map(|pattern| text_of(pattern)).collect(),
        };
        let decides = |code: &str, text: &str| std::ptr::eq(find(code, text, false), rule);
        for text in &texts {
            assert!(codes.iter().any(|code| decides(code, text)), "rule {at}: {text}");
        }
        let is_open = matches!(rule.codes, Codes::Any);
        for code in codes.iter().filter(|_| !is_open) {
            assert!(texts.iter().any(|text| decides(code, text)), "rule {at}: {code}");
        }
    }
}

#[test]
fn a_row_s_own_text_decides_nothing() {
    for text in [
        "invalid input syntax for type integer: \"Resource busy\"",
        "Could not generate fixed plan",
        "role \"x\" does not exist",
        "Rejected by ip white list. ip=203.0.113.7",
    ] {
        for code in ["22P02", "23505", "P0001", "UE042"] {
            assert_eq!(find(code, text, false).kind, Kind::Row, "{code} {text}");
        }
    }
    for text in [
        "internal error: cannot read \"too many clients already\" as a number",
        "internal error: cannot read \"a \"\" Not support\"",
        "internal error: cannot read \"Invalid table id",
        "the row says: role \"x\" does not exist",
    ] {
        assert_eq!(find("XX000", text, false).kind, Kind::Internal, "{text}");
    }
}

#[test]
fn what_stands_in_quotes_is_not_looked_at() {
    assert_eq!(unquoted("role \"a\" and \"b"), "role \"\" and \"\"");
    assert_eq!(unquoted("plain"), "plain");
    assert!(fits("no partition of \"\" found", "^no …found$") && !fits("no x found.", "no x found$"));
}
