//! `[admin]` and `[metrics]`: where operators and machines reach lastpop over HTTP, and what they may learn there.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected};

use super::values;

/// `[admin]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Where the API, `/metrics`, `/live` and `/ready` are served.
    pub address: AdminAddress,
    /// TLS there, with the certificates of `[tls]`. An address that other machines reach must have it.
    pub tls: bool,
    /// The tokens that the API takes; `lastpop token` edits it. It may be missing: then nobody can use the API.
    pub token_file: PathBuf,
    /// Requests a second that each token may make, and as many at once. 50 is much for people and scripts, and
    /// little for lastpop.
    pub requests_per_second: NonZeroU32,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            address: AdminAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9110))),
            tls: false,
            token_file: PathBuf::from("/etc/lastpop/admin.tokens"),
            requests_per_second: NonZeroU32::MIN.saturating_add(49),
        }
    }
}

/// Where the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAddress {
    /// An address and a port.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl AdminAddress {
    /// Can another machine connect to it?
    pub const fn is_remote(&self) -> bool {
        match self {
            Self::Tcp(address) => !is_loopback(address.ip()),
            Self::Unix(_) => false,
        }
    }
}

/// IPv4-mapped loopback addresses are loopback as well.
const fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

impl std::fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> Deserialize<'de> for AdminAddress {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "an address with a port, such as \"127.0.0.1:9110\", or \"unix:/path\"";
        let text = String::deserialize(from)?;
        let parsed = match text.strip_prefix("unix:") {
            Some(path) => path.starts_with('/').then(|| Self::Unix(PathBuf::from(path))),
            None => text.parse().ok().map(Self::Tcp),
        };
        parsed.ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
    }
}

/// `[metrics]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// One more listener, for `/metrics`, `/live` and `/ready` alone, without TLS. Nothing there names a user.
    #[serde(deserialize_with = "values::address_or_empty")]
    pub address: Option<SocketAddr>,
    /// A listener for `/metrics/users` without a token.
    #[serde(deserialize_with = "values::address_or_empty")]
    pub users_address: Option<SocketAddr>,
    /// What `/metrics/users` says of users.
    pub users: UserSeries,
    /// Users there at most, those first who were seen last: each costs Prometheus several series.
    #[serde(deserialize_with = "users_most")]
    pub users_most: u32,
}

/// Most users in `/metrics/users`: they are one page, and one value in the state, of 15 MB. For more there is the export.
const USERS_MOST: u32 = 100_000;

fn users_most<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let most = values::positive(from)?;
    if most > USERS_MOST {
        return Err(D::Error::custom(format!(
            "expected {USERS_MOST} or less: Prometheus keeps several series of each; `lastpop user export` has all users"
        )));
    }
    Ok(most)
}

impl Default for Metrics {
    fn default() -> Self {
        Self { address: None, users_address: None, users: UserSeries::Full, users_most: 10_000 }
    }
}

/// What `/metrics/users` says of users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserSeries {
    /// Their names.
    Full,
    /// A keyed hash instead of each name.
    Hashed,
    /// Nothing.
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<AdminAddress> {
        let table: Result<Admin, _> = toml::from_str(&format!("address = \"{text}\""));
        table.ok().map(|admin| admin.address)
    }

    #[test]
    fn addresses() {
        for (text, remote) in [
            ("127.0.0.1:9110", false),
            ("127.8.9.10:0", false),
            ("[::1]:9110", false),
            ("[::ffff:127.0.0.1]:9110", false),
            ("unix:/run/lastpop/admin", false),
            ("0.0.0.0:9110", true),
            ("[::]:9110", true),
            ("192.0.2.7:9110", true),
        ] {
            let address = parsed(text).expect(text);
            assert_eq!((address.to_string().as_str(), address.is_remote()), (text, remote));
        }
        for text in ["", "9110", "localhost:9110", "unix:", "unix:run/lastpop", "/run/lastpop", "127.0.0.1"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
