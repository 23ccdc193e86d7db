//! TLS for clients (RFC 8314, RFC 8997: 1.2 and 1.3) and towards the upstream.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme, client, server,
};

use super::pem;
use crate::config::Verify;

/// Why TLS could not be set up; names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{}: {source}; mend the file, or name another in tls.certificates or upstream.ca_file", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The certificate and the key do not belong together, or rustls cannot use them.
    #[error("{} and {}: {source}; name a certificate and its own key in tls.certificates", chain.display(), key.display())]
    Pair {
        /// The certificate's file.
        chain: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What rustls said.
        source: rustls::Error,
    },
    /// rustls refuses the configuration.
    #[error("{0}")]
    Rustls(#[from] rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificates that listeners show, replaced as a whole on reload.
#[derive(Debug)]
pub struct Certificates(ArcSwap<Vec<Arc<CertifiedKey>>>);

impl Certificates {
    /// Loads pairs of (chain, key) files.
    pub fn load<'a>(pairs: impl IntoIterator<Item = (&'a Path, &'a Path)>) -> Result<Self, TlsError> {
        Ok(Self(ArcSwap::from_pointee(load_pairs(pairs)?)))
    }

    /// Replaces them by these; when one cannot be used, all stay as they were.
    pub fn reload<'a>(&self, pairs: impl IntoIterator<Item = (&'a Path, &'a Path)>) -> Result<(), TlsError> {
        self.0.store(Arc::new(load_pairs(pairs)?));
        Ok(())
    }
}

fn load_pairs<'a>(
    pairs: impl IntoIterator<Item = (&'a Path, &'a Path)>,
) -> Result<Vec<Arc<CertifiedKey>>, TlsError> {
    let provider = provider();
    let load = |(chain, key): (&Path, &Path)| {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::File { path, source }
        };
        let certificates = pem::certificates(chain).map_err(file(chain))?;
        let private = pem::private_key(key).map_err(file(key))?;
        CertifiedKey::from_der(certificates, private, &provider)
            .map(Arc::new)
            .map_err(|source| TlsError::Pair { chain: chain.to_owned(), key: key.to_owned(), source })
    };
    pairs.into_iter().map(load).collect()
}

impl ResolvesServerCert for Certificates {
    /// The first certificate whose key the client can verify and whose name it asked for; else the first
    /// whose key it can verify. So an RSA and an ECDSA certificate can stand side by side.
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let all = self.0.load();
        let usable = || all.iter().filter(|pair| pair.key.choose_scheme(hello.signature_schemes()).is_some());
        let name = hello.server_name().and_then(|name| ServerName::try_from(name).ok());
        let named = |pair: &&Arc<CertifiedKey>| {
            let (Some(name), Some(certificate)) = (&name, pair.cert.first()) else {
                return false;
            };
            ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| client::verify_server_name(&parsed, name).is_ok())
        };
        usable().find(named).or_else(|| usable().next()).cloned()
    }
}

/// What a listener for `protocol` does with a new connection. ALPN is strict: a client that names a protocol
/// must name this one, so that no browser can be made to speak POP3 (RFC 7301, ALPACA).
pub fn server(certificates: Arc<Certificates>, protocol: &str) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![protocol.into()];
    config.session_storage = server::ServerSessionMemoryCache::new(SESSIONS);
    Ok(Arc::new(config))
}

/// TLS sessions kept for resumption: mail clients poll, and a resumed handshake costs a tenth.
const SESSIONS: usize = 4_096;

/// TLS towards the upstream.
pub fn client(verify: Verify, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?;
    let mut config = match verify {
        Verify::Full => builder.with_root_certificates(roots(ca_file)?).with_no_client_auth(),
        Verify::Off => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NoVerification(provider())))
            .with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"imap".to_vec()];
    Ok(Arc::new(config))
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // A system store with one broken file is still a system store; an upstream that then cannot be
    // verified is reported when it is connected to.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca_file {
        let file = |source| TlsError::File { path: path.to_owned(), source };
        for certificate in pem::certificates(path).map_err(file)? {
            roots
                .add(certificate)
                .map_err(|source| file(io::Error::new(io::ErrorKind::InvalidData, source)))?;
        }
    }
    Ok(roots)
}

/// Accepts any certificate (`upstream.verify = "off"`), but still checks that the peer holds its key.
#[derive(Debug)]
struct NoVerification(Arc<CryptoProvider>);

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tokio_rustls::{TlsAcceptor, TlsConnector};

    use super::*;

    struct Made {
        directory: tempfile::TempDir,
    }

    impl Made {
        fn new() -> Self {
            Self { directory: tempfile::tempdir().expect("a directory") }
        }

        /// Writes a certificate for this name, with a key of this algorithm.
        fn pair(&self, name: &str, algorithm: &'static rcgen::SignatureAlgorithm) -> (PathBuf, PathBuf) {
            let key = rcgen::KeyPair::generate_for(algorithm).expect("a key");
            let certificate = rcgen::CertificateParams::new(vec![name.to_owned()]).expect("a name");
            let certificate = certificate.self_signed(&key).expect("a certificate");
            let file = |ending: &str, text: String| {
                let path = self.directory.path().join(format!("{name}-{algorithm:?}.{ending}"));
                std::fs::File::create(&path).expect("a file").write_all(text.as_bytes()).expect("written");
                path
            };
            (file("pem", certificate.pem()), file("key", key.serialize_pem()))
        }
    }

    fn borrowed(pairs: &[(PathBuf, PathBuf)]) -> impl Iterator<Item = (&Path, &Path)> {
        pairs.iter().map(|(chain, key)| (chain.as_path(), key.as_path()))
    }

    /// The certificate that a client which asks for `name` and offers `alpn` is shown.
    async fn shown(
        certificates: &Arc<Certificates>,
        name: &str,
        alpn: &[&[u8]],
    ) -> Result<CertificateDer<'static>, io::Error> {
        let acceptor = TlsAcceptor::from(server(Arc::clone(certificates), "pop3").expect("a server"));
        let mut config = Arc::unwrap_or_clone(client(Verify::Off, None).expect("a client"));
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let connector = TlsConnector::from(Arc::new(config));
        let (accepted, connected) = tokio::join!(acceptor.accept(ours), connector.connect(name, theirs));
        accepted?;
        let connected = connected?;
        let shown = connected.get_ref().1.peer_certificates().and_then(|all| all.first().cloned());
        Ok(shown.expect("a certificate").into_owned())
    }

    #[tokio::test]
    async fn each_client_is_shown_the_name_that_it_asks_for() {
        let made = Made::new();
        let ecdsa = &rcgen::PKCS_ECDSA_P256_SHA256;
        let pairs = [made.pair("a.example.net", ecdsa), made.pair("b.example.net", ecdsa)];
        let certificates = Arc::new(Certificates::load(borrowed(&pairs)).expect("certificates"));
        let of = |at: usize| pem::certificates(&pairs[at].0).expect("a certificate").remove(0);
        assert_eq!(shown(&certificates, "b.example.net", &[]).await.expect("a handshake"), of(1));
        assert_eq!(shown(&certificates, "a.example.net", &[b"pop3"]).await.expect("a handshake"), of(0));
        assert_eq!(shown(&certificates, "c.example.net", &[]).await.expect("a handshake"), of(0));
    }

    #[tokio::test]
    async fn a_client_that_wants_another_protocol_gets_nothing() {
        let made = Made::new();
        let pairs = [made.pair("a.example.net", &rcgen::PKCS_ED25519)];
        let pairs = [made.pair("a.example.net", &rcgen::PKCS_ECDSA_P256_SHA256), pairs[0].clone()];
        let certificates = Arc::new(Certificates::load(borrowed(&pairs)).expect("certificates"));
        assert!(shown(&certificates, "a.example.net", &[b"http/1.1"]).await.is_err());
    }

    #[tokio::test]
    async fn a_reload_takes_all_or_nothing() {
        let made = Made::new();
        let ecdsa = &rcgen::PKCS_ECDSA_P256_SHA256;
        let old = [made.pair("old.example.net", ecdsa)];
        let new = [made.pair("new.example.net", ecdsa), made.pair("other.example.net", ecdsa)];
        let certificates = Arc::new(Certificates::load(borrowed(&old)).expect("certificates"));
        let mixed = [(new[0].0.clone(), new[1].1.clone())];
        assert!(matches!(certificates.reload(borrowed(&mixed)), Err(TlsError::Pair { .. })));
        let missing = [(new[0].0.clone(), PathBuf::from("/nonexistent"))];
        let error = certificates.reload(borrowed(&missing)).expect_err("no file").to_string();
        assert!(error.starts_with("/nonexistent: "), "{error}");
        let first =
            |pairs: &[(PathBuf, PathBuf)]| pem::certificates(&pairs[0].0).expect("a certificate").remove(0);
        assert_eq!(shown(&certificates, "x.example.net", &[]).await.expect("a handshake"), first(&old));
        certificates.reload(borrowed(&new)).expect("good");
        assert_eq!(shown(&certificates, "x.example.net", &[]).await.expect("a handshake"), first(&new));
    }
}
