//! Lambda's Runtime API on a loopback port, and the real handler binary as its sandbox.

use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::{Watchdog, lock};

const FUNCTION: &str = "loader";
const REGION: &str = "ap-northeast-1";
/// How often a waiting test looks whether its sandbox still lives.
const LOOK: Duration = Duration::from_millis(10);

/// How one invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The handler's answer.
    Ok(Value),
    /// The handler's error, as an asynchronous caller's failure record would show it.
    Err { error_type: String, error_message: String },
    /// The sandbox could not start and said why.
    InitError { error_type: String, error_message: String },
    /// The process ended without an answer; the code is `None` after a signal.
    Exited { code: Option<i32> },
    /// The deadline passed, at which the sandbox is killed, as Lambda does.
    TimedOut,
}

impl Outcome {
    /// The answer; any other outcome is a failed test.
    pub fn expect_ok(self) -> Value {
        match self {
            Self::Ok(value) => value,
            other => panic!("the invocation did not succeed: {other:?}"),
        }
    }

    /// The error's type and message; any other outcome is a failed test.
    pub fn expect_err(self) -> (String, String) {
        match self {
            Self::Err { error_type, error_message } => (error_type, error_message),
            other => panic!("the invocation did not answer with an error: {other:?}"),
        }
    }
}

struct Invocation {
    id: String,
    payload: Vec<u8>,
    deadline_ms: u128,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Invocation>,
    done: HashMap<String, Outcome>,
    init_error: Option<Outcome>,
    next_id: u64,
    next_count: u64,
    is_stopped: bool,
    connections: Vec<TcpStream>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// One sandbox: the API and the process that it runs. Dropped, the process is killed.
pub struct RuntimeApi {
    address: SocketAddr,
    shared: Arc<Shared>,
    binary: PathBuf,
    environment: Vec<(String, String)>,
    log: tempfile::NamedTempFile,
    sandbox: Mutex<Sandbox>,
}

struct Sandbox {
    process: Child,
    /// Kills the process should the test itself be killed.
    watchdog: Watchdog,
}

impl RuntimeApi {
    /// Starts the API and the binary. It sees only these variables, `PATH` and what Lambda sets.
    pub fn start<K: Into<String>, V: Into<String>>(
        binary: impl Into<PathBuf>,
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::<Shared>::default();
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        let binary = binary.into();
        let environment: Vec<_> =
            environment.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        let log = tempfile::Builder::new().prefix("holoload-log-").tempfile().expect("a log file");
        let sandbox = Mutex::new(spawn(&binary, address, &environment, log.path()));
        Self { address, shared, binary, environment, log, sandbox }
    }

    /// Hands one event to the sandbox and waits for the outcome, at most until the deadline.
    pub fn invoke(&self, payload: &[u8], deadline_ms: u64) -> Outcome {
        let allowed = Duration::from_millis(deadline_ms);
        let end = Instant::now() + allowed;
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let deadline_ms = (since_epoch + allowed).as_millis();
        let mut state = lock(&self.shared.state);
        state.next_id += 1;
        let id = format!("8476a536-e9f4-11e8-9739-{:012x}", state.next_id);
        state.waiting.push_back(Invocation { id: id.clone(), payload: payload.to_vec(), deadline_ms });
        self.shared.changed.notify_all();
        let mut exit = None;
        loop {
            if let Some(outcome) = state.take_outcome(&id) {
                return outcome;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                state.withdraw(&id);
                drop(state);
                self.kill();
                return Outcome::TimedOut;
            }
            let waited = self.shared.changed.wait_timeout(state, LOOK.min(left));
            let (woken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            if timeout.timed_out() {
                // Gone at two looks in a row: whatever it said last has been read from the socket in between.
                let was_gone = exit.is_some();
                exit = lock(&self.sandbox).process.try_wait().expect("the process is ours");
                if let (true, Some(status)) = (was_gone, exit) {
                    state.withdraw(&id);
                    return Outcome::Exited { code: status.code() };
                }
            }
        }
    }

    /// Like [`invoke`](Self::invoke), for a JSON value and with 30 s until the deadline.
    pub fn invoke_json(&self, event: &Value) -> Outcome {
        self.invoke(&serde_json::to_vec(event).expect("JSON"), 30_000)
    }

    /// Everything that the process has written to its standard output and standard error.
    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log.path()).expect("the log")).into_owned()
    }

    /// Waits until the process has asked for its first event: its initialisation is over.
    pub fn wait_for_init(&self, timeout: Duration) -> bool {
        super::wait_until(timeout, || lock(&self.shared.state).next_count > 0)
    }

    pub fn pid(&self) -> u32 {
        lock(&self.sandbox).process.id()
    }

    pub fn is_running(&self) -> bool {
        lock(&self.sandbox).process.try_wait().expect("the process is ours").is_none()
    }

    /// Resident memory now. Linux only.
    pub fn rss_kib(&self) -> u64 {
        self.status_kib("VmRSS:")
    }

    /// The most resident memory the process has had. Linux only.
    pub fn peak_rss_kib(&self) -> u64 {
        self.status_kib("VmHWM:")
    }

    fn status_kib(&self, field: &str) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("/proc of a live process");
        let line =
            status.lines().find_map(|line| line.strip_prefix(field)).expect("a live process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Stops the process where it stands (SIGSTOP), as Lambda freezes a sandbox between invocations.
    pub fn freeze(&self) {
        self.signal("-STOP");
    }

    pub fn thaw(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([signal, &self.pid().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill {signal} failed");
    }

    /// Kills the process (SIGKILL); an invocation under way answers `Exited`.
    pub fn kill(&self) {
        let mut sandbox = lock(&self.sandbox);
        let _ = sandbox.process.kill();
        let _ = sandbox.process.wait();
    }

    /// A new process in place of the old one: the next cold start. The log goes on.
    pub fn restart(&self) {
        self.kill();
        let mut state = lock(&self.shared.state);
        state.init_error = None;
        state.next_count = 0;
        state.close_connections();
        drop(state);
        *lock(&self.sandbox) = spawn(&self.binary, self.address, &self.environment, self.log.path());
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.kill();
        let mut state = lock(&self.shared.state);
        state.is_stopped = true;
        state.close_connections();
        drop(state);
        self.shared.changed.notify_all();
        // Wakes the accepting thread, which then sees that it is over.
        let _ = TcpStream::connect(self.address);
    }
}

fn spawn(binary: &Path, address: SocketAddr, environment: &[(String, String)], log: &Path) -> Sandbox {
    let log_file = File::options().append(true).open(log).expect("the log");
    let mut command = Command::new(binary);
    command.env_clear();
    for inherited in ["PATH", "TMPDIR", "LLVM_PROFILE_FILE"] {
        command.envs(std::env::var_os(inherited).map(|value| (inherited, value)));
    }
    let process = command
        .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
        .env("AWS_LAMBDA_FUNCTION_NAME", FUNCTION)
        .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
        .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
        .env("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{FUNCTION}"))
        .env("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/01/[$LATEST]0123456789abcdef")
        .env("AWS_REGION", REGION)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(log_file.try_clone().expect("the log"))
        .stderr(log_file)
        .spawn()
        .unwrap_or_else(|error| panic!("{} does not start: {error}", binary.display()));
    let watchdog = Watchdog::start(
        &mut Command::new("sh"),
        "",
        "kill -KILL $1; rm -f \"$2\"",
        &[&process.id().to_string(), log.to_str().expect("a path in UTF-8")],
    );
    Sandbox { process, watchdog }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        // Reaped: its number may be another's from now on.
        self.watchdog.dismiss();
    }
}

impl State {
    fn take_outcome(&mut self, id: &str) -> Option<Outcome> {
        let outcome = self.done.remove(id);
        if outcome.is_none() && self.init_error.is_some() {
            self.withdraw(id);
            return self.init_error.clone();
        }
        outcome
    }

    fn withdraw(&mut self, id: &str) {
        self.waiting.retain(|invocation| invocation.id != id);
    }

    fn close_connections(&mut self) {
        for connection in self.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming().flatten() {
            let mut state = lock(&self.state);
            if state.is_stopped {
                return;
            }
            state.connections.extend(stream.try_clone());
            drop(state);
            let shared = Arc::clone(self);
            thread::spawn(move || shared.serve(&stream));
        }
    }

    /// Answers the requests of one connection until it is closed.
    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = BufReader::new(stream);
        let mut writer = stream;
        while let Some(request) = Request::read(&mut reader)? {
            let answer = self.answer(&request, stream)?;
            writer.write_all(&answer)?;
        }
        Ok(())
    }

    fn answer(&self, request: &Request, stream: &TcpStream) -> io::Result<Vec<u8>> {
        let path = request.path.strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
        if path == "invocation/next" {
            return self.next(stream);
        }
        if path == "init/error" {
            let (error_type, error_message) = request.error();
            lock(&self.state).init_error = Some(Outcome::InitError { error_type, error_message });
        } else if let Some((id, end)) = path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/'))
        {
            let outcome = if end == "response" {
                serde_json::from_slice(&request.body).map_or_else(
                    |error| Outcome::Err {
                        error_type: "Runtime.InvalidResponse".to_owned(),
                        error_message: format!("{error}: {}", String::from_utf8_lossy(&request.body)),
                    },
                    Outcome::Ok,
                )
            } else {
                let (error_type, error_message) = request.error();
                Outcome::Err { error_type, error_message }
            };
            lock(&self.state).done.insert(id.to_owned(), outcome);
        } else {
            return Ok(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec());
        }
        self.changed.notify_all();
        Ok(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n"
            .to_vec())
    }

    /// Waits for the next event, as long as the one who asks is there to take it.
    fn next(&self, stream: &TcpStream) -> io::Result<Vec<u8>> {
        let mut state = lock(&self.state);
        state.next_count += 1;
        loop {
            if state.is_stopped || is_closed(stream) {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            if let Some(invocation) = state.waiting.pop_front() {
                return Ok(invocation.response());
            }
            let waited = self.changed.wait_timeout(state, Duration::from_secs(1));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Whether the other end has gone: a killed sandbox must not swallow the event of its successor.
fn is_closed(stream: &TcpStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let is_open = match stream.peek(&mut [0]) {
        Ok(count) => count > 0,
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    };
    !is_open || stream.set_nonblocking(false).is_err()
}

impl Invocation {
    fn response(&self) -> Vec<u8> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Lambda-Runtime-Aws-Request-Id: {}\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:{REGION}:123456789012:function:{FUNCTION}\r\n\
             Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0\r\n\r\n",
            self.payload.len(),
            self.id,
            self.deadline_ms
        );
        [head.as_bytes(), &self.payload].concat()
    }
}

struct Request {
    path: String,
    body: Vec<u8>,
}

impl Request {
    /// `None` at the end of the connection.
    fn read(reader: &mut impl io::BufRead) -> io::Result<Option<Self>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let path = line.split(' ').nth(1).ok_or(io::ErrorKind::InvalidData)?.to_owned();
        let (mut length, mut is_chunked) = (0, false);
        loop {
            line.clear();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse().map_err(io::Error::other)?;
            }
            is_chunked |= name.eq_ignore_ascii_case("transfer-encoding") && value.trim() == "chunked";
        }
        let mut body = Vec::new();
        if is_chunked {
            loop {
                line.clear();
                reader.read_line(&mut line)?;
                let size = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
                reader.by_ref().take(size as u64).read_to_end(&mut body)?;
                line.clear();
                reader.read_line(&mut line)?;
                if size == 0 {
                    break;
                }
            }
        } else {
            body.resize(length, 0);
            reader.read_exact(&mut body)?;
        }
        Ok(Some(Self { path, body }))
    }

    fn error(&self) -> (String, String) {
        let value: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        (text("errorType"), text("errorMessage"))
    }
}
