//! How user and password are shown to the server: as they are, or by AKv4.
//!
//! With AKv4 (Alibaba Cloud's signature, as holo-client uses it from 2.6.1 on) the AccessKey Secret stays here: the
//! password is made from it, the region and the day, so it is made anew for each connection.

use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::Server;
use crate::error::{Error, Result};
use crate::settings::{LoginMode, Secret};

/// A user who logs in by AKv4.
const AKV4_PREFIX: &str = "akv4$";
/// A user who is the instance's own and has no AccessKey.
const BASIC_PREFIX: &str = "BASIC$";
/// What public and private endpoints end in.
const HOST_SUFFIX: &str = ".hologres.aliyuncs.com";
/// What private endpoints have between the region and that; no one is another's ending.
const NETWORK_SUFFIXES: [&str; 3] = ["-internal", "-vpc-st", "-vpc"];

/// What the server is shown.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: Option<Secret>,
}

impl Server {
    /// Whether the next login is by AKv4. A user who is written `akv4$…` never logs in otherwise.
    fn is_akv4(&self) -> bool {
        self.user.starts_with(AKV4_PREFIX)
            || self.login != LoginMode::Plain && !self.user.starts_with(BASIC_PREFIX)
    }

    /// Whether a refusal may mean that the server does not take AKv4, rather than that the AccessKey is wrong.
    pub fn may_fall_back(&self) -> bool {
        self.login == LoginMode::Auto && self.is_akv4() && !self.user.starts_with(AKV4_PREFIX)
    }

    /// Finds logins that cannot work before anything is connected.
    ///
    /// # Errors
    /// `Config`: see [`LoginMode`].
    pub fn check_login(&self) -> Result<()> {
        credentials(self, SystemTime::now()).map(drop)
    }
}

/// What to show the server at this time.
///
/// # Errors
/// `Config`, where AKv4 is asked for and user, password or region do not serve.
pub(super) fn credentials(server: &Server, now: SystemTime) -> Result<Credentials> {
    if server.login == LoginMode::Akv4 && server.user.starts_with(BASIC_PREFIX) {
        return Err(Error::config(format!("log in as `{}` by AKv4", server.user)).with_hint(
            "`BASIC$` accounts have a password and no AccessKey: leave `target.login` (HOLOLOAD_LOGIN) out, or name an \
             AccessKey ID",
        ));
    }
    if !server.is_akv4() {
        return Ok(Credentials { user: server.user.clone(), password: server.password.clone() });
    }
    let secret = server.password.as_ref().ok_or_else(|| {
        Error::config("log in by AKv4: password missing").with_hint(
            "set HOLOLOAD_PASSWORD to the AccessKey Secret, or HOLOLOAD_SECRET to where it is kept",
        )
    })?;
    let region = region(server).ok_or_else(|| {
        Error::config(format!("log in by AKv4: `{}` does not tell the instance's region", server.host))
            .with_hint("set `target.region` (HOLOLOAD_REGION), such as ap-northeast-1")
    })?;
    let name = server.user.strip_prefix(AKV4_PREFIX).unwrap_or(&server.user);
    let password = password(secret.reveal(), &region, &utc_day(now)?)?;
    Ok(Credentials { user: format!("{AKV4_PREFIX}{name}"), password: Some(password.into()) })
}

/// Says of a refused AKv4 login what else may be wrong with it.
pub(super) fn explained(server: &Server, error: Error) -> Error {
    if !error.is_refused_login() || !server.is_akv4() {
        return error;
    }
    let region = region(server).unwrap_or_default();
    let hint = format!(
        "check HOLOLOAD_USER and HOLOLOAD_PASSWORD (or the secret): AccessKey ID and AccessKey Secret; with AKv4 also that \
         the instance is in `{region}` (HOLOLOAD_REGION) and this machine's clock is right; a server too old for AKv4 needs \
         HOLOLOAD_LOGIN=plain"
    );
    error.with_hint(hint)
}

fn region(server: &Server) -> Option<String> {
    server.region.clone().or_else(|| region_of(&server.host))
}

/// The region in an endpoint, `<three parts>-<region>[-network].hologres.aliyuncs.com`, as holo-client reads it; regions
/// begin with two letters, so that a name of another make is not taken for one.
fn region_of(host: &str) -> Option<String> {
    let host = host.to_ascii_lowercase();
    let name = host.strip_suffix(HOST_SUFFIX)?;
    let mut parts = name.splitn(4, '-');
    if parts.by_ref().take(3).any(str::is_empty) {
        return None;
    }
    let rest = parts.next()?;
    let region = NETWORK_SUFFIXES.iter().find_map(|network| rest.strip_suffix(network)).unwrap_or(rest);
    let (area, place) = region.split_once('-')?;
    let is_region =
        area.len() == 2 && area.bytes().all(|byte| byte.is_ascii_lowercase()) && !place.is_empty();
    is_region.then(|| region.to_owned())
}

/// `yyyyMMdd` in UTC: that of the local zone is another day for hours.
fn utc_day(now: SystemTime) -> Result<String> {
    let now = jiff::Timestamp::try_from(now)
        .map_err(|source| Error::config("read this machine's clock").with_source(source))?;
    Ok(now.strftime("%Y%m%d").to_string())
}

fn password(secret: &str, region: &str, day: &str) -> Result<String> {
    let mut key = format!("aliyun_v4{secret}").into_bytes();
    for part in [day, region, "hologres", "aliyun_v4_request"] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)
            .map_err(|source| Error::bug("make the AKv4 password").with_source(source))?;
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    Ok(STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::error::Class;
    use crate::settings::TlsMode;

    fn server(user: &str, login: LoginMode, region: Option<&str>) -> Server {
        Server {
            host: "db.example".to_owned(),
            port: 80,
            database: "demo".to_owned(),
            user: user.to_owned(),
            password: Some("test-secret".to_owned().into()),
            login,
            region: region.map(str::to_owned),
            tls: TlsMode::VerifyFull,
            ca_pem: None,
            timezone: "UTC".to_owned(),
        }
    }

    /// It is March in UTC+8 by then.
    fn leap_day() -> SystemTime {
        "2024-02-29T16:30:00Z".parse::<jiff::Timestamp>().expect("a time").into()
    }

    /// Made by `hmac` and `hashlib` of Python, the first one by `openssl dgst` as well.
    #[test]
    fn passwords_are_those_of_another_implementation() {
        for (secret, region, day, expected) in [
            ("test-secret", "cn-hangzhou", "20240229", "hVf4xuMN/xjxdoKLfz8W+YvvQsS1Z48Y3pzBV+GGw7o="),
            (
                "0123456789abcdefghijABCDEFGHIJ",
                "ap-northeast-1",
                "20261124",
                "TBOXy8sRPuMQmJfmHji6n562FdNCsCnj/z0jukRis9w=",
            ),
            ("", "cn-shenzhen", "19700101", "u11PQ0lyuRAwBmPwWhuadGAg5kXidnM9BHhVSOzRHYg="),
            ("シークレット", "us-west-1", "20991231", "6daTYqgaByWq1jJvs7Lk87fH0OWeCpkMX9Cvwhww6Kg="),
        ] {
            assert_eq!(password(secret, region, day).expect("a password"), expected, "{region} {day}");
        }
    }

    #[test]
    fn the_day_is_that_of_utc() {
        assert_eq!(utc_day(leap_day()).expect("a day"), "20240229");
        assert_eq!(utc_day(leap_day() + Duration::from_hours(8)).expect("a day"), "20240301");
        assert_eq!(utc_day(SystemTime::UNIX_EPOCH).expect("a day"), "19700101");
    }

    #[test]
    fn regions_are_read_from_endpoints() {
        for (name, region) in [
            ("hgpostcn-cn-xxx-cn-shenzhen-vpc-st", Some("cn-shenzhen")),
            ("hgpostcn-cn-xxx-cn-shenzhen-vpc", Some("cn-shenzhen")),
            ("hgpostcn-cn-xxx-cn-shenzhen-internal", Some("cn-shenzhen")),
            ("hgpostcn-cn-xxx-cn-shenzhen", Some("cn-shenzhen")),
            ("HgPostCn-cn-xxx-ap-northeast-1", Some("ap-northeast-1")),
            ("hgpost-sg-xxx-ap-southeast-1-internal", Some("ap-southeast-1")),
            ("hgpostcn-cn-xxx-cn-shanghai-finance-1", Some("cn-shanghai-finance-1")),
            // The vendor's pattern reads `northeast-1`, which is no region.
            ("hgpostcn-xxx-ap-northeast-1", None),
            ("hgpostcn-cn-xxx", None),
            ("hgpostcn-cn-xxx-", None),
            ("hgpostcn-cn-xxx-vpc", None),
            ("-cn-xxx-cn-shenzhen", None),
            ("", None),
        ] {
            assert_eq!(region_of(&format!("{name}{HOST_SUFFIX}")).as_deref(), region, "{name}");
        }
        assert_eq!(region_of("db.example"), None);
        assert_eq!(region_of("hgpostcn-cn-xxx-cn-shenzhen.hologres.aliyuncs.com.example"), None);
    }

    #[test]
    fn who_is_shown_what() {
        let region = Some("cn-hangzhou");
        let of_day = "hVf4xuMN/xjxdoKLfz8W+YvvQsS1Z48Y3pzBV+GGw7o=";
        for (user, login, shown, password) in [
            ("LTAI", LoginMode::Plain, "LTAI", "test-secret"),
            ("LTAI", LoginMode::Akv4, "akv4$LTAI", of_day),
            ("LTAI", LoginMode::Auto, "akv4$LTAI", of_day),
            ("akv4$LTAI", LoginMode::Plain, "akv4$LTAI", of_day),
            ("akv4$LTAI", LoginMode::Auto, "akv4$LTAI", of_day),
            ("BASIC$bob", LoginMode::Plain, "BASIC$bob", "test-secret"),
            ("BASIC$bob", LoginMode::Auto, "BASIC$bob", "test-secret"),
        ] {
            let server = server(user, login, region);
            let credentials = credentials(&server, leap_day()).unwrap_or_else(|error| panic!("{error:?}"));
            let seen = (credentials.user.as_str(), credentials.password.as_ref().map(Secret::reveal));
            assert_eq!(seen, (shown, Some(password)), "{user} {login:?}");
            assert_eq!(
                server.may_fall_back(),
                user == "LTAI" && login == LoginMode::Auto,
                "{user} {login:?}"
            );
            assert!(!format!("{server:?}").contains("test-secret"));
        }
    }

    #[test]
    fn a_login_that_cannot_work_is_a_matter_of_configuration() {
        let refused = |server: &Server| match credentials(server, leap_day()) {
            Ok(_) => panic!("not refused"),
            Err(error) => error,
        };
        let basic = refused(&server("BASIC$bob", LoginMode::Akv4, Some("cn-hangzhou")));
        let nowhere = refused(&server("LTAI", LoginMode::Akv4, None));
        let without = Server { password: None, ..server("LTAI", LoginMode::Akv4, Some("cn-hangzhou")) };
        for (error, hint) in [
            (basic, "`BASIC$` accounts"),
            (nowhere, "set `target.region`"),
            (refused(&without), "HOLOLOAD_PASSWORD"),
        ] {
            assert_eq!(error.class(), Class::Config);
            assert!(error.hint().is_some_and(|text| text.contains(hint)), "{error:?}");
        }
    }
}
