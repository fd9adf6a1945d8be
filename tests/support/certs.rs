//! Certificates made on the spot: authorities, and server certificates with every fault worth refusing.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

const DAY: Duration = Duration::from_hours(24);

/// A self-signed certificate authority with a P-256 key.
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = (SystemTime::now() - DAY).into();
        params.not_after = (SystemTime::now() + 3650 * DAY).into();
        let key = KeyPair::generate().expect("a P-256 key");
        Self { issuer: CertifiedIssuer::self_signed(params, key).expect("a self-signed certificate") }
    }

    /// The authority's own certificate: what a client trusts.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server certificate of this authority, with a new key.
    pub fn issue(&self, leaf: &Leaf) -> Issued {
        let mut params = CertificateParams::new(leaf.dns_names.clone()).expect("valid DNS names");
        params.subject_alt_names.extend(leaf.ip_addresses.iter().copied().map(SanType::IpAddress));
        params.distinguished_name.push(DnType::CommonName, &leaf.common_name);
        params.not_before = leaf.not_before.into();
        params.not_after = leaf.not_after.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a P-256 key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate");
        Issued { certificate_pem: certificate.pem(), key_pem: key.serialize_pem(), not_after: leaf.not_after }
    }
}

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    pub certificate_pem: String,
    pub key_pem: String,
    pub not_after: SystemTime,
}

/// What a server certificate says. The default is right for a server on this machine.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub common_name: String,
    pub dns_names: Vec<String>,
    pub ip_addresses: Vec<IpAddr>,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

impl Default for Leaf {
    fn default() -> Self {
        Self {
            common_name: "localhost".into(),
            dns_names: vec!["localhost".into()],
            ip_addresses: vec![Ipv4Addr::LOCALHOST.into()],
            not_before: SystemTime::now() - DAY,
            not_after: SystemTime::now() + 365 * DAY,
        }
    }
}

impl Leaf {
    /// Ran out yesterday.
    pub fn expired() -> Self {
        let now = SystemTime::now();
        Self { not_before: now - 30 * DAY, not_after: now - DAY, ..Self::default() }
    }

    /// Begins tomorrow.
    pub fn not_yet_valid() -> Self {
        Self { not_before: SystemTime::now() + DAY, ..Self::default() }
    }

    /// Right in everything but the name.
    pub fn wrong_host() -> Self {
        Self {
            common_name: "elsewhere.example".into(),
            dns_names: vec!["elsewhere.example".into()],
            ip_addresses: Vec::new(),
            ..Self::default()
        }
    }

    /// Still valid, for this many whole days (and an hour, so that a slow test sees the same number).
    pub fn days_left(days: u32) -> Self {
        let left = days * DAY + Duration::from_hours(1);
        Self { not_after: SystemTime::now() + left, ..Self::default() }
    }
}
