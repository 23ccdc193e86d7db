//! A private certificate authority and one server certificate for `localhost` and 127.0.0.1.
//!
//! Dovecot and lastpop both show this certificate; clients and lastpop's upstream side trust the
//! authority through a PEM file. A second authority is what a wrong `ca_file` looks like.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

/// Where the PEM files are, and the authority itself for the rustls client.
pub(crate) struct Certificates {
    /// The authority that signed `chain`.
    pub(crate) authority: PathBuf,
    /// An authority that signed nothing here.
    pub(crate) other_authority: PathBuf,
    /// The server's certificate.
    pub(crate) chain: PathBuf,
    /// The server's private key.
    pub(crate) key: PathBuf,
    root: CertificateDer<'static>,
}

impl Certificates {
    /// Makes fresh keys and writes them under `directory`.
    pub(crate) fn write(directory: &Path) -> Self {
        let authority = self::authority("lastpop test authority");
        let other = self::authority("an authority that signed nothing");
        let key = KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "localhost");
        let leaf = params.signed_by(&key, &authority).expect("a certificate");

        let file = |name: &str, text: String| {
            let path = directory.join(name);
            std::fs::write(&path, text).expect("write PEM");
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("chmod");
            path
        };
        Self {
            root: authority.der().clone(),
            authority: file("ca.pem", authority.pem()),
            other_authority: file("other-ca.pem", other.pem()),
            chain: file("chain.pem", leaf.pem()),
            key: file("key.pem", key.serialize_pem()),
        }
    }

    /// A TLS client configuration that trusts this authority and no other.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("our own root");
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Arc::new(config)
    }
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}
