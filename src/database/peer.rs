//! Who answers at the database's address, before anybody logs in there.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use x509_parser::extensions::GeneralName;

use super::{Server, policy, tls};
use crate::error::{Class, Error, Result};

/// Length 8, and the number that asks for TLS (PostgreSQL, "Message Formats": `SSLRequest`).
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// What a server's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Whose it is.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Host names and addresses that it is for.
    pub names: Vec<String>,
    /// Milliseconds since 1970.
    pub not_before_ms: i64,
    /// Milliseconds since 1970.
    pub not_after_ms: i64,
}

/// What a handshake came to.
#[derive(Debug)]
pub struct Peer {
    /// The certificate that was shown, trusted or not.
    pub certificate: Option<Certificate>,
    /// Why a load would not go on.
    pub refused: Option<Error>,
}

/// Shakes hands as a load would, and leaves.
pub async fn peer(server: &Server) -> Peer {
    let connector = match tls::connector(server.tls, server.ca_pem.as_deref()) {
        Ok(connector) => connector,
        Err(error) => return Peer { certificate: None, refused: Some(error) },
    };
    let error = match handshake(server, connector).await {
        Ok(certificate) => return Peer { certificate, refused: None },
        Err(error) => error,
    };
    // To say what is wrong with a certificate it is looked at once more, unverified; nothing is sent over that connection.
    let certificate = match tls::curious() {
        Ok(connector) if error.class() == Class::Access => handshake(server, connector).await.ok().flatten(),
        _ => None,
    };
    Peer { certificate, refused: Some(error) }
}

async fn handshake(server: &Server, connector: native_tls::TlsConnector) -> Result<Option<Certificate>> {
    let address = server.address();
    let broken = |source: std::io::Error| {
        Error::transient(format!("connect to {address}")).with_source(source).with_hint(
            "the connection broke before TLS began: is it the database that listens at host and port?",
        )
    };
    let mut socket = TcpStream::connect((server.host.as_str(), server.port)).await.map_err(broken)?;
    socket.write_all(&SSL_REQUEST).await.map_err(broken)?;
    if socket.read_u8().await.map_err(broken)? != b'S' {
        return Err(policy::no_tls(&address));
    }
    let connector = tokio_native_tls::TlsConnector::from(connector);
    let stream = connector.connect(&server.host, socket).await;
    let mut stream = stream.map_err(|source| policy::handshake_failure(&address, source))?;
    let shown = stream.get_ref().peer_certificate().ok().flatten();
    let der = shown.and_then(|certificate| certificate.to_der().ok());
    // A goodbye that does not arrive changes nothing.
    drop(stream.shutdown().await);
    Ok(der.as_deref().and_then(parse))
}

fn parse(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|extension| &extension.value.general_names).filter_map(name);
    Some(Certificate {
        subject: certificate.subject().to_string(),
        issuer: certificate.issuer().to_string(),
        names: names.collect(),
        not_before_ms: certificate.validity().not_before.timestamp().checked_mul(1000)?,
        not_after_ms: certificate.validity().not_after.timestamp().checked_mul(1000)?,
    })
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::Ipv4Addr::from(bytes).to_string());
            v4.or_else(|_| {
                <[u8; 16]>::try_from(*bytes).map(|bytes| std::net::Ipv6Addr::from(bytes).to_string())
            })
            .ok()
        }
        _ => None,
    }
}
