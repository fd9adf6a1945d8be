//! The way to the database: name, port, certificate, allow-list, login.

use std::time::{Duration, SystemTime};

use tokio::net::{TcpStream, lookup_host};

use super::cloud::SecretRead;
use super::said::Said;
use super::{Check, Time, target};
use crate::context;
use crate::database::{CLOSE_TIMEOUT_MS, Certificate, Server, Session, peer};
use crate::error::{Class, Error, Result};
use crate::settings::{LoginMode, TlsMode};

/// No statement of the doctor runs longer; they read catalogs.
const STATEMENT_MAX_MS: u64 = 8_000;
/// A certificate that ends sooner is worth a warning.
const CERTIFICATE_WARNING_DAYS: i64 = 30;
const DAY_MS: i64 = 86_400_000;
/// Addresses of a name that are shown.
const ADDRESSES_MAX: usize = 4;

/// What a login needs, in the order in which it is met.
const NAMES: [&str; 7] = ["dns", "tcp", "tls", "certificate", "allow_list", "login", "version"];

/// What the database was found to be.
pub(super) struct Link {
    pub(super) checks: Vec<Check>,
    pub(super) skew_s: Option<i64>,
}

/// The name of the check that stands in the way of those behind it.
type Stopped = std::result::Result<(), &'static str>;

pub(super) async fn checks(said: &Said, secret: &SecretRead, time: &Time) -> Link {
    let mut link = Link { checks: Vec::new(), skew_s: None };
    let failed = match follow(said, secret, time, &mut link).await {
        Ok(()) => return link,
        Err(failed) => failed,
    };
    for name in NAMES.into_iter().chain(target::NAMES) {
        if !link.checks.iter().any(|check| check.name == name) {
            link.checks.push(Check::because(name, failed));
        }
    }
    // In the order of a login, whichever failed.
    let place = |check: &Check| NAMES.iter().chain(&target::NAMES).position(|name| *name == check.name);
    link.checks.sort_by_key(place);
    link
}

async fn follow(said: &Said, secret: &SecretRead, time: &Time, link: &mut Link) -> Stopped {
    let target = said.settings.as_ref().and_then(|settings| settings.target.as_ref()).ok_or("settings")?;
    let mut server = match context::server(target) {
        Ok(server) => server,
        Err(error) => {
            link.checks.push(Check::failed("tls", &error));
            return Err("tls");
        }
    };
    link.push(dns(&server, time).await)?;
    link.push(tcp(&server, time).await)?;
    for check in tls(&server, time).await {
        link.checks.push(check);
    }
    if link.checks.iter().any(|check| check.name == "tls" && check.is_failed()) {
        return Err("tls");
    }
    if super::secret_id(said).is_some() {
        let failed = if secret.check.is_failed() { "secret" } else { "identity" };
        let (user, password) = secret.login.as_ref().ok_or(failed)?;
        // A secret without a user leaves the one of the settings.
        if let Some(user) = user {
            server.user.clone_from(user);
        }
        server.password = Some(password.clone().into());
    }
    let (mut session, warning) = log_in(&mut server, time, &mut link.checks).await?;
    let asked = ask(&mut session, &server, warning, time, link).await;
    if asked.is_ok() {
        link.checks.extend(target::checks(said, &mut session, time).await);
    }
    session.close(&server, Duration::from_millis(CLOSE_TIMEOUT_MS)).await;
    asked
}

impl Link {
    fn push(&mut self, check: Check) -> Stopped {
        let stopped = if check.is_failed() { Err(check.name) } else { Ok(()) };
        self.checks.push(check);
        stopped
    }
}

async fn dns(server: &Server, time: &Time) -> Check {
    const NAME: &str = "dns";
    let host = server.host.as_str();
    let private = "only the public endpoint is reached from AWS: take `-vpc`, `-vpc-st` or `-internal` out of HOLOLOAD_HOST";
    let is_private = ["-vpc.", "-vpc-st.", "-internal."].iter().any(|part| host.contains(part))
        && host.ends_with(".hologres.aliyuncs.com");
    let hint = if is_private {
        private
    } else {
        "the host name does not resolve: check HOLOLOAD_HOST (`target.host`), and that the VPC has DNS switched on"
    };
    let looking = async {
        let found = lookup_host((host, server.port)).await;
        found.map_err(|source| {
            Error::transient(format!("look up `{host}`")).with_source(source).with_hint(hint)
        })
    };
    match time.within(&format!("look up `{host}`"), hint, looking).await {
        Ok(addresses) => {
            let mut addresses: Vec<String> = addresses.map(|address| address.ip().to_string()).collect();
            addresses.dedup();
            addresses.truncate(ADDRESSES_MAX);
            let found = format!("{host} is {}", addresses.join(", "));
            if is_private { Check::warn(NAME, found, private) } else { Check::ok(NAME, found) }
        }
        Err(error) => Check::failed(NAME, &error),
    }
}

async fn tcp(server: &Server, time: &Time) -> Check {
    const NAME: &str = "tcp";
    let (host, port) = (server.host.as_str(), server.port);
    let action = format!("connect to {host}:{port}");
    let hint = format!(
        "nothing answers at port {port}: check HOLOLOAD_PORT (Hologres listens on 80), that the security group lets it out, \
         and the subnet's route to the NAT gateway; an allow-list is not to blame, it refuses later"
    );
    let connecting = async {
        let connected = TcpStream::connect((host, port)).await;
        connected
            .map_err(|source| Error::transient(action.as_str()).with_source(source).with_hint(hint.as_str()))
    };
    match time.within(&action, &hint, connecting).await {
        Ok(stream) => {
            let from =
                stream.local_addr().map(|address| format!(" from {}", address.ip())).unwrap_or_default();
            Check::ok(NAME, format!("{host}:{port} answers{from}"))
        }
        Err(error) => Check::failed(NAME, &error),
    }
}

/// Two checks: the handshake, and what the certificate says.
async fn tls(server: &Server, time: &Time) -> [Check; 2] {
    if server.tls == TlsMode::InsecurePlaintext {
        let hint = "remove HOLOLOAD_TLS=insecure-plaintext (`target.tls`); on Hologres switch SSL on first";
        let found = "plaintext: password and rows can be read and changed on the way";
        return [Check::warn("tls", found, hint), Check::skipped("certificate", "there is no TLS")];
    }
    let hint = "is it the database that listens at host and port?";
    let shown = async { Ok(peer(server).await) };
    let peer = match time.within("shake hands", hint, shown).await {
        Ok(peer) => peer,
        Err(error) => return [Check::failed("tls", &error), Check::because("certificate", "tls")],
    };
    let certificate = peer.certificate.as_ref();
    let tls = match &peer.refused {
        Some(error) => Check::failed("tls", error),
        None => verified(server),
    };
    let certificate = match certificate {
        Some(certificate) => dated(certificate, SystemTime::now()),
        None if peer.refused.is_some() => Check::because("certificate", "tls"),
        None => Check::skipped("certificate", "it could not be read"),
    };
    [tls, certificate]
}

fn verified(server: &Server) -> Check {
    const NAME: &str = "tls";
    let roots = if server.ca_pem.is_some() { "HOLOLOAD_CA" } else { "the system's roots" };
    match server.tls {
        TlsMode::Require if server.ca_pem.is_none() => Check::warn(
            NAME,
            "encrypted, but nobody knows by whom: the certificate is not verified",
            "set HOLOLOAD_CA to the server's CA certificate and HOLOLOAD_TLS to verify-full",
        ),
        TlsMode::VerifyCa | TlsMode::Require => {
            Check::ok(NAME, format!("chain verified against {roots}, the host name is not compared"))
        }
        TlsMode::VerifyFull | TlsMode::InsecurePlaintext => {
            Check::ok(NAME, format!("chain verified against {roots}, and the host name"))
        }
    }
}

fn dated(certificate: &Certificate, now: SystemTime) -> Check {
    const NAME: &str = "certificate";
    let now_ms = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    let day = |at_ms: i64| {
        let at = jiff::Timestamp::from_millisecond(at_ms);
        at.map_or_else(|_| "no time".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
    };
    let names: Vec<&str> = certificate.names.iter().take(ADDRESSES_MAX).map(String::as_str).collect();
    let found = format!(
        "{} for {}, issued by {}, {} to {}",
        certificate.subject,
        if names.is_empty() { "no name".to_owned() } else { names.join(", ") },
        certificate.issuer,
        day(certificate.not_before_ms),
        day(certificate.not_after_ms),
    );
    let renew =
        "renew it (Hologres: console > instance > SSL; valid for one year, renewing restarts the instance)";
    let left_ms = certificate.not_after_ms - now_ms;
    if left_ms < 0 {
        return Check::fail(NAME, Class::Access, format!("{found}: it has expired"), renew);
    }
    if certificate.not_before_ms > now_ms {
        let hint = "wait, or put this machine's clock right";
        return Check::fail(NAME, Class::Access, format!("{found}: it is not valid yet"), hint);
    }
    let days = left_ms / DAY_MS;
    if days < CERTIFICATE_WARNING_DAYS {
        return Check::warn(NAME, format!("{found}: it ends in {days} days"), renew);
    }
    Check::ok(NAME, format!("{found}: {days} days left"))
}

/// A session, and what is to be said of how it came about; two checks where it did not.
async fn log_in(
    server: &mut Server,
    time: &Time,
    checks: &mut Vec<Check>,
) -> std::result::Result<(Session, Option<&'static str>), &'static str> {
    if let Err(error) = server.check_login() {
        checks.push(Check::failed("login", &error));
        return Err("login");
    }
    let hint = "the server took the connection and says nothing: is it the database that listens there?";
    let mut opened = time.within("log in", hint, Session::open(server)).await;
    let mut warning = None;
    if matches!(&opened, Err(refused) if refused.is_refused_login()) && server.may_fall_back() {
        server.login = LoginMode::Plain;
        warning = Some("AKv4 was refused, the plain login was not");
        opened = time.within("log in", hint, Session::open(server)).await;
    }
    match opened {
        Ok(session) => Ok((session, warning)),
        Err(error) if error.is_refused_address() => {
            checks.push(Check::failed("allow_list", &error));
            Err("allow_list")
        }
        Err(error) => {
            if error.is_refused_login() {
                // Hologres looks at the allow-list first.
                checks.push(Check::ok("allow_list", "not refused; the address is told after a login"));
            }
            checks.push(Check::failed("login", &error));
            Err("login")
        }
    }
}

/// What the session knows of itself.
async fn ask(
    session: &mut Session,
    server: &Server,
    warning: Option<&'static str>,
    time: &Time,
    link: &mut Link,
) -> Stopped {
    let hint = "the connection broke; try again";
    let limited = time.within("limit statements", hint, session.limit_statements(STATEMENT_MAX_MS)).await;
    let seen = match limited {
        Ok(()) => time.within("ask for the address", hint, seen_from(session)).await,
        Err(error) => Err(error),
    };
    link.checks.push(match &seen {
        Ok(Some(address)) => Check::ok("allow_list", format!("let in; the server sees {address}")),
        Ok(None) => Check::ok("allow_list", "let in; the server does not tell from which address"),
        Err(error) => {
            Check::ok("allow_list", format!("let in; the server does not tell from which address ({error})"))
        }
    });
    let how = match (server.login, server.user.starts_with("akv4$")) {
        (LoginMode::Akv4 | LoginMode::Auto, _) | (_, true) => "by AKv4",
        (LoginMode::Plain, false) => "by a plain password",
    };
    let found = format!("as `{}` {how}", server.user);
    link.checks.push(match warning {
        None => Check::ok("login", found),
        Some(warning) => Check::warn(
            "login",
            format!("{found}: {warning}"),
            "set HOLOLOAD_LOGIN=plain, or look at HOLOLOAD_REGION and the clock",
        ),
    });
    let number = session.server_version_num();
    let found = match session.dialect().hologres() {
        Some(version) => format!("Hologres {version}"),
        None => format!("PostgreSQL {}.{}", number / 10_000, number % 10_000),
    };
    link.checks.push(Check::ok("version", found));
    link.skew_s = time.within("read the clock", hint, skew_s(session)).await.ok();
    Ok(())
}

/// The address that the server sees; none over a socket of this machine.
async fn seen_from(session: &mut Session) -> Result<Option<String>> {
    let rows = session.query("SELECT inet_client_addr()::text", &[], "ask for the address").await?;
    let address = rows.first().and_then(|row| row.try_get::<_, Option<String>>(0).ok()).flatten();
    // A host is written with the length of its mask.
    Ok(address.map(|address| address.split('/').next().unwrap_or_default().to_owned()))
}

/// By how many seconds the server's clock is ahead of ours.
async fn skew_s(session: &mut Session) -> Result<i64> {
    let before = SystemTime::now();
    let rows = session.query("SELECT now()", &[], "read the clock").await?;
    let now = rows.first().and_then(|row| row.try_get::<_, SystemTime>(0).ok());
    let now = now.ok_or_else(|| Error::bug("read the clock: the server answered no time"))?;
    let seconds = |span: Duration| i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Ok(match now.duration_since(before) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => -seconds(behind.duration()),
    })
}
