//! The few calls of an AWS account that are not S3's: who we are (STS), a secret, a queue. Answers can be changed while it
//! serves.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::call::read_call;
use super::lock;

/// Who every caller is.
pub const CALLER: &str = "arn:aws:sts::123456789012:assumed-role/loader/fn";
pub const QUEUE: &str = "arn:aws:sqs:ap-northeast-1:123456789012:loads";
pub const SECRET: &str = "arn:aws:secretsmanager:ap-northeast-1:123456789012:secret:holoload-AbCdEf";

#[derive(Clone)]
struct State {
    /// A `Date` of its own.
    date: Option<String>,
    /// Status and body by operation, in place of what is right.
    answers: BTreeMap<String, (u16, String)>,
    secret: String,
    queue: BTreeMap<&'static str, String>,
}

/// The account. It listens until the process ends.
pub struct Account {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Account {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let redrive = json!({"deadLetterTargetArn": format!("{QUEUE}-dead"), "maxReceiveCount": "12"});
        let queue = [
            ("VisibilityTimeout", "5400".to_owned()),
            ("MessageRetentionPeriod", "1209600".to_owned()),
            ("ApproximateNumberOfMessages", "3".to_owned()),
            ("RedrivePolicy", redrive.to_string()),
        ];
        let state =
            State { date: None, answers: BTreeMap::new(), secret: String::new(), queue: queue.into() };
        let state = Arc::new(Mutex::new(state));
        let serving = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&serving);
                // A client that goes away is nobody's failure.
                thread::spawn(move || drop(serve(&stream, &state)));
            }
        });
        Self { port, state }
    }

    /// What the AWS SDK needs to find it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        let names = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"];
        names.map(|name| (name, endpoint.clone())).into()
    }

    /// `Date` of every answer from now on, as HTTP writes it.
    pub fn set_date(&self, date: &str) {
        lock(&self.state).date = Some(date.to_owned());
    }

    pub fn set_secret(&self, text: &str) {
        text.clone_into(&mut lock(&self.state).secret);
    }

    /// `None` takes the attribute away.
    pub fn set_queue(&self, name: &'static str, value: Option<&str>) {
        let mut state = lock(&self.state);
        match value {
            Some(value) => drop(state.queue.insert(name, value.to_owned())),
            None => drop(state.queue.remove(name)),
        }
    }

    /// The operation answers with this error from now on.
    pub fn refuse(&self, operation: &str, status: u16, code: &str, message: &str) {
        let body = if operation == "GetCallerIdentity" {
            format!(
                "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            )
        } else {
            json!({"__type": code, "message": message}).to_string()
        };
        lock(&self.state).answers.insert(operation.to_owned(), (status, body));
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let Some((mut target, body)) = read_call(stream)? else { return Ok(()) };
    let body = String::from_utf8_lossy(&body).into_owned();
    if let Some(action) = body.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
        action.clone_into(&mut target);
    }
    let state = lock(state).clone();
    let (status, text) = state.answers.get(&target).cloned().unwrap_or_else(|| (200, right(&target, &state)));
    let kind = if text.starts_with('<') { "text/xml" } else { "application/x-amz-json-1.1" };
    let date = state.date.map(|date| format!("Date: {date}\r\n")).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\n{date}Content-Length: {}\r\nConnection: close\r\n\r\n",
        text.len()
    );
    let mut writer = stream;
    writer.write_all(head.as_bytes())?;
    writer.write_all(text.as_bytes())
}

fn right(operation: &str, state: &State) -> String {
    let answer: Value = match operation {
        "GetCallerIdentity" => {
            return format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>{CALLER}</Arn><UserId>AROAEXAMPLE:fn</UserId><Account>123456789012</Account>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>"
            );
        }
        "GetSecretValue" => json!({"ARN": SECRET, "Name": "holoload", "SecretString": state.secret}),
        "GetQueueAttributes" => json!({"Attributes": state.queue}),
        other => json!({"__type": "UnknownOperation", "message": other}),
    };
    answer.to_string()
}
