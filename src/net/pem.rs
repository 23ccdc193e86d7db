//! Certificates and keys from PEM files: the only place that knows rustls-pemfile.
//!
//! rustls-pemfile is no longer maintained (RUSTSEC-2025-0134); it is a thin layer over the reader in
//! rustls-pki-types, which the tests below hold it against. To change over is to change these two bodies.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;

use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// All certificates of a file, in its order. An error if there is none.
pub fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let certificates =
        rustls_pemfile::certs(&mut BufReader::new(File::open(path)?)).collect::<Result<Vec<_>, _>>()?;
    if certificates.is_empty() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the file holds no certificate in PEM form"));
    }
    Ok(certificates)
}

/// The first private key of a file (PKCS #8, PKCS #1 or SEC 1). An error if there is none.
pub fn private_key(path: &Path) -> io::Result<PrivateKeyDer<'static>> {
    rustls_pemfile::private_key(&mut BufReader::new(File::open(path)?))?.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, "the file holds no private key in PEM form")
    })
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject;

    use super::*;

    fn made() -> (String, String) {
        let made =
            rcgen::generate_simple_self_signed(["mail.example.net".to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), text).expect("written");
        file
    }

    #[test]
    fn equal_to_the_reader_that_is_maintained() {
        let (certificate, key) = made();
        let (other, _) = made();
        let fixtures = [
            format!("{certificate}{other}"),
            format!("text before\n{certificate}text between\n{key}{other}"),
            certificate.replace('\n', "\r\n"),
        ];
        for text in fixtures {
            let file = file(&text);
            let theirs: Vec<_> =
                CertificateDer::pem_file_iter(file.path()).expect("a file").map(Result::unwrap).collect();
            assert_eq!(certificates(file.path()).expect("certificates"), theirs);
        }
        let file = file(&format!("{certificate}{key}"));
        let theirs = PrivateKeyDer::from_pem_file(file.path()).expect("a key");
        assert_eq!(private_key(file.path()).expect("a key"), theirs);
    }

    #[test]
    fn a_file_without_what_is_needed_is_an_error() {
        let (certificate, key) = made();
        assert!(certificates(file(&key).path()).is_err());
        assert!(private_key(file(&certificate).path()).is_err());
        assert!(certificates(file("").path()).is_err());
        assert!(certificates(file(&certificate[..certificate.len() / 2]).path()).is_err());
        assert!(certificates(Path::new("/nonexistent")).is_err());
    }
}
