//! What Hologres says when it refuses: its texts, word for word where the vendor's pages or client code give them.

use super::fault::Fault;

/// An ERROR that answers a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

impl Refusal {
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    pub fn not_supported(message: impl Into<String>) -> Self {
        Self::new("0A000", message)
    }
}

/// One way in which Hologres fails.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub name: &'static str,
    pub code: &'static str,
    pub message: &'static str,
}

impl Named {
    /// The statements that contain the text fail this way, the next `times` times.
    pub fn at(&self, sql_contains: &str, times: u32) -> Fault {
        let (sql_contains, message) = (sql_contains.to_owned(), self.message.to_owned());
        Fault::FailStatement { sql_contains, code: self.code, message, skip: 0, times }
    }
}

macro_rules! errors {
    ($($name:literal $code:literal $message:literal;)*) => {
        /// Every failure of a statement that the vendor's client classes or its pages explain. A SQLSTATE that no
        /// source gives is XX000, so that whoever has to know the failure must know its text.
        pub const ERRORS: &[Named] = &[$(Named { name: $name, code: $code, message: $message }),*];
    };
}

errors! {
    "connection_failure" "08006" "This connection has been closed.";
    "connect_error" "XX000" "internal error: kConnectError: failed to connect to the store master";
    "connection_refused" "XX000" "internal error: Connection refused";
    "erpc_connection_closed" "XX000" "ERPC_ERROR_CONNECTION_CLOSED";
    "invalid_expire_time" "28P01" "Invalid expire_time";
    "cloud_authentication" "28000" "Cloud authentication failed for access id \"LTAI\"";
    "role_missing" "28000" "role \"loader\" does not exist";
    "ip_white_list" "28000" "Rejected by ip white list.\ndb = demo, usr=loader, ip=203.0.113.7";
    "readonly_write" "XX000" "internal error: Write is not allowed in readonly mode";
    "readonly_log" "XX000" "WriteLogRecord is not allowed in readonly mode";
    "resource_busy" "53000" "Resource busy";
    "table_group_meta" "XX000" "Fail to fetch table group meta from store master";
    "recovering" "XX000" "Get rundown is not allowed in recovering state";
    "unhealthy" "XX000" "the workers or shards are unhealthy";
    "too_many_clients" "53300" "sorry, too many clients already";
    "slots_reserved" "53300" "remaining connection slots are reserved for non-replication superuser connections";
    "column_missing" "42703" "column \"amount\" of relation \"t\" does not exist";
    "invalid_table_id" "XX000" "Invalid table id";
    "refresh_meta_timeout" "XX000" "Refresh meta timeout";
    "version_mismatch" "XX000" "internal error: the requested table name: t (id: 7, version: 2) mismatches the version of the table (id: 7, version: 3) from server";
    "relation_oid" "XX000" "could not open relation with OID 16384";
    "replay" "XX000" "replay not finished yet";
    "table_id_missing" "XX000" "Table not found, table id 16384";
    "table_missing_at_run" "XX000" "fail to execute query Table not found";
    "shard_not_ready" "XX000" "internal error: shard not ready";
    "erpc_timeout" "XX000" "ERPC_ERROR_TIMEOUT";
    "timed_out" "XX000" "kTimedOut";
    "back_pressure" "XX000" "BackPresure Exceed Reject Limit";
    "babysitter" "XX000" "babysitter 3 not ready";
    "actor_missing" "XX000" "kActorNotExist";
    "actor_invoke" "XX000" "kActorInvokeError";
    "lock_timeout" "XX000" "internal error: Cannot acquire lock in time, current owners: [(Transaction =302xxxx, Lock Mode = SchemaExclusiveLock)]";
    "semaphore" "XX000" "Connect timeout, err: std_exception: Semaphore timedout";
    "need_retry" "HG000" "hg_need_retry";
    "plpgsql_need_retry" "HG001" "hg_plpgsql_need_retry";
    "admin_shutdown" "57P01" "terminating connection due to administrator command";
    "crash_shutdown" "57P02" "terminating connection because of crash of another server process";
    "starting_up" "57P03" "the database system is starting up";
    "statement_timeout" "57014" "canceling statement due to statement timeout";
    "user_request" "57014" "canceling statement due to user request";
    "total_memory" "53200" "Total memory used by all existing queries exceeded memory limitation";
    "query_memory" "53200" "query exceed per query memory limitation";
    "disk_full" "53100" "could not extend file: No space left on device";
    "permission" "42501" "permission denied for table t";
    "table_missing" "42P01" "relation \"t\" does not exist";
    "not_null" "23502" "null value in column \"id\" violates not-null constraint";
    "unique" "23505" "duplicate key value violates unique constraint \"t_pkey\"";
    "check" "23514" "new row for relation \"t\" violates check constraint \"t_check\"";
    "partition_constraint" "23514" "new row for relation \"t_1\" violates partition constraint";
    "row_twice" "23505" "Update row with Key (id)=(1) multiple times";
    "hash_table_twice" "23505" "Duplicate keys detected when building hash table";
    "data_exception" "22000" "data exception";
    "too_long" "22001" "value too long for type character varying(3)";
    "out_of_range" "22003" "integer out of range";
    "invalid_datetime" "22007" "invalid input syntax for type timestamp";
    "datetime_overflow" "22008" "date/time field value out of range";
    "not_in_repertoire" "22021" "invalid byte sequence for encoding \"UTF8\": 0x00";
    "invalid_parameter" "22023" "invalid parameter value";
    "invalid_text" "22P02" "invalid input syntax for integer: \"x\"";
    "untranslatable" "22P05" "unsupported Unicode escape sequence";
    "type_mismatch" "42804" "column \"id\" is of type bigint but expression is of type text";
    "invalid_name" "42602" "invalid name syntax";
    "cannot_coerce" "42846" "cannot cast type text to bytea";
    "bad_copy_format" "22P04" "missing data for column \"x\". failed to query next";
    "no_fixed_plan" "0A000" "Could not generate fixed plan";
    "one_set_returning" "XX000" "Build desc failed: Currently, Hologres can support just one set-returned function";
    "parent_table" "0A000" "Feature not supported: insert into parent table";
    "not_support" "0A000" "Not support";
    "query_length" "XX000" "query length 102401 exceeded the maximum 102400";
    "in_transaction" "0A000" "INSERT in transaction is not supported now";
    "in_ddl_transaction" "0A000" "INSERT in ddl transaction is not supported now";
    "internal" "XX000" "internal error: status { code: 13 }";
}

/// The failure of this name.
///
/// # Panics
/// When there is none.
pub fn named(name: &str) -> &'static Named {
    let found = ERRORS.iter().find(|error| error.name == name);
    found.unwrap_or_else(|| panic!("no error is called `{name}`"))
}

fn refused_login(error: &'static Named, times: u32) -> Fault {
    Fault::RefuseLogin { code: error.code, message: error.message.to_owned(), times }
}

/// The gateway refuses the address, which its text names. No source gives the SQLSTATE.
pub fn allow_list(ip: &str) -> Fault {
    let message = format!("Rejected by ip white list.\ndb = demo, usr=loader, ip={ip}");
    Fault::RefuseLogin { code: "XX000", message, times: u32::MAX }
}

pub fn slots_exhausted(times: u32) -> Fault {
    refused_login(named("slots_reserved"), times)
}

pub fn too_many_clients(times: u32) -> Fault {
    refused_login(named("too_many_clients"), times)
}

pub fn role_missing() -> Fault {
    refused_login(named("role_missing"), u32::MAX)
}

pub fn cloud_authentication_failed() -> Fault {
    refused_login(named("cloud_authentication"), u32::MAX)
}

/// A write that contains the text meets a read-only instance: an upgrade, a failover, or a secondary instance.
pub fn read_only(sql_contains: &str, times: u32) -> Fault {
    named("readonly_write").at(sql_contains, times)
}
