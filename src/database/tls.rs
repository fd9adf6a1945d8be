//! TLS to the database: who is trusted, and a connector that remembers the certificate it saw.
//!
//! `postgres-native-tls` hides its stream, and with it the peer certificate, whose expiry is worth a warning
//! (a Hologres certificate is valid for one year and renewed by hand: Hologres help, "SSL-encrypted
//! transmission"). So the handshake is made here; its crate still serves cancel requests.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use native_tls::{Certificate, Protocol, TlsConnector};
use tokio::io::{AsyncRead, AsyncWrite, BufStream, ReadBuf};
use tokio_postgres::Socket;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};

use crate::error::{Error, Result};
use crate::settings::TlsMode;

/// Builds the connector for a mode that uses TLS.
///
/// With a CA only that CA is trusted, in every mode; without one the system's roots are.
///
/// # Errors
/// `Config`, for a CA that holds no certificate, and for `verify-ca` without a CA: any public certificate
/// would pass then.
pub(super) fn connector(mode: TlsMode, ca_pem: Option<&[u8]>) -> Result<TlsConnector> {
    let mut builder = TlsConnector::builder();
    // Hologres speaks TLS 1.2 and newer (same page).
    builder.min_protocol_version(Some(Protocol::Tlsv12));
    postgres_native_tls::set_postgresql_alpn(&mut builder);
    if let Some(pem) = ca_pem {
        builder.disable_built_in_roots(true);
        for certificate in certificates(pem)? {
            builder.add_root_certificate(certificate);
        }
    }
    match (mode, ca_pem) {
        (TlsMode::VerifyCa, None) => {
            return Err(Error::config("`tls: verify-ca` needs a CA, or any public certificate would pass")
                .with_hint("set HOLOLOAD_CA (`target.ca`) to the CA certificate, or use verify-full"));
        }
        // As in libpq, `require` with a CA verifies against it.
        (TlsMode::VerifyCa | TlsMode::Require, Some(_)) => {
            builder.danger_accept_invalid_hostnames(true);
        }
        (TlsMode::Require, None) => {
            builder.danger_accept_invalid_certs(true);
            builder.danger_accept_invalid_hostnames(true);
        }
        (TlsMode::VerifyFull | TlsMode::InsecurePlaintext, _) => {}
    }
    builder.build().map_err(|source| Error::config("set up TLS").with_source(source))
}

/// A connector that takes whatever certificate is shown, to look at it.
pub(super) fn curious() -> Result<TlsConnector> {
    let mut builder = TlsConnector::builder();
    postgres_native_tls::set_postgresql_alpn(&mut builder);
    builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true);
    builder.build().map_err(|source| Error::config("set up TLS").with_source(source))
}

const PEM_BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const PEM_END: &str = "-----END CERTIFICATE-----";

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>> {
    let refuse = |why: &str| {
        Error::config(format!("read the CA certificate: {why}")).with_hint(
            "HOLOLOAD_CA (`target.ca`) must be PEM text with `-----BEGIN CERTIFICATE-----`, or the path of such a file",
        )
    };
    let text = std::str::from_utf8(pem).map_err(|_| refuse("it is not PEM text"))?;
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(begin) = rest.find(PEM_BEGIN) {
        let from = &rest[begin..];
        let end = from.find(PEM_END).ok_or_else(|| refuse("it is cut off"))? + PEM_END.len();
        let certificate = Certificate::from_pem(&from.as_bytes()[..end])
            .map_err(|source| refuse("a certificate in it does not parse").with_source(source))?;
        found.push(certificate);
        rest = &from[end..];
    }
    if found.is_empty() { Err(refuse("it holds no certificate")) } else { Ok(found) }
}

/// Answers are short.
const READ_BUFFER_BYTES: usize = 8 * 1024;
/// A TLS record is at most 16 KiB; so many of them go out in one system call instead of one each.
const WRITE_BUFFER_BYTES: usize = 128 * 1024;

/// Makes TLS streams and keeps the certificate of the last peer (DER).
#[derive(Clone)]
pub(super) struct Connector {
    connector: tokio_native_tls::TlsConnector,
    peer: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Connector {
    pub(super) fn new(connector: TlsConnector) -> Self {
        Self { connector: connector.into(), peer: Arc::default() }
    }

    /// End of validity of the peer's certificate, milliseconds since 1970.
    pub(super) fn peer_not_after_ms(&self) -> Option<i64> {
        let peer = self.peer.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, certificate) = x509_parser::parse_x509_certificate(peer.as_deref()?).ok()?;
        certificate.validity().not_after.timestamp().checked_mul(1000)
    }
}

impl MakeTlsConnect<Socket> for Connector {
    type Stream = Stream;
    type TlsConnect = Handshake;
    type Error = native_tls::Error;

    fn make_tls_connect(&mut self, domain: &str) -> std::result::Result<Handshake, native_tls::Error> {
        Ok(Handshake { maker: self.clone(), domain: domain.to_owned() })
    }
}

pub(super) struct Handshake {
    maker: Connector,
    domain: String,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Stream;
    type Error = native_tls::Error;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Stream, native_tls::Error>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let socket = BufStream::with_capacity(READ_BUFFER_BYTES, WRITE_BUFFER_BYTES, socket);
        Box::pin(async move {
            let stream = self.maker.connector.connect(&self.domain, socket).await?;
            let der =
                stream.get_ref().peer_certificate()?.map(|certificate| certificate.to_der()).transpose()?;
            *self.maker.peer.lock().unwrap_or_else(PoisonError::into_inner) = der;
            Ok(Stream(stream))
        })
    }
}

pub(super) struct Stream(tokio_native_tls::TlsStream<BufStream<Socket>>);

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl TlsStream for Stream {
    fn channel_binding(&self) -> ChannelBinding {
        let hash = self.0.get_ref().tls_server_end_point().ok().flatten();
        hash.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn a_ca_without_certificate_is_refused() {
        for pem in [
            "",
            "hello",
            "-----BEGIN CERTIFICATE-----",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        ] {
            let error = connector(TlsMode::VerifyFull, Some(pem.as_bytes())).expect_err(pem);
            assert_eq!(error.class(), Class::Config);
        }
        assert_eq!(connector(TlsMode::VerifyCa, None).err().map(|error| error.class()), Some(Class::Config));
    }
}
