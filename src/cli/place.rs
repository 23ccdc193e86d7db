//! Where lastpop's API is: as `--url` says, or `admin.address` in the configuration, or its default.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::failure::Failure;
use crate::config::{self, Admin, AdminAddress, HostPort};

/// Where the configuration is, if nobody says otherwise.
pub(super) const CONFIGURATION: &str = "/etc/lastpop/lastpop.toml";

/// An address of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Url {
    /// HTTP over TCP.
    Http(HostPort),
    /// HTTP over TLS.
    Https(HostPort),
    /// HTTP over a unix socket.
    Unix(PathBuf),
}

impl Url {
    /// Could somebody on the way read the token?
    pub(super) fn is_exposed(&self) -> bool {
        let Self::Http(HostPort { host, .. }) = self else { return false };
        let address: Result<IpAddr, _> = host.parse();
        !(host == "localhost" || address.is_ok_and(|address| address.to_canonical().is_loopback()))
    }

    /// What the header `Host` says (RFC 9110 §7.2).
    pub(super) fn authority(&self) -> String {
        match self {
            Self::Http(host) | Self::Https(host) => host.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// A text that is no such address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected http://HOST:PORT, https://HOST:PORT or unix:/PATH, and nothing behind it")]
pub(super) struct BadUrl;

impl FromStr for Url {
    type Err = BadUrl;

    fn from_str(text: &str) -> Result<Self, BadUrl> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.starts_with('/') { Ok(Self::Unix(PathBuf::from(path))) } else { Err(BadUrl) };
        }
        let (scheme, host) = text.split_once("://").ok_or(BadUrl)?;
        let host = host.strip_suffix('/').unwrap_or(host);
        let with = |port: u16| HostPort::parse(host).or_else(|| HostPort::parse(&format!("{host}:{port}")));
        match scheme {
            "http" => with(80).map(Self::Http),
            "https" => with(443).map(Self::Https),
            _ => None,
        }
        .ok_or(BadUrl)
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(host) => write!(f, "http://{host}"),
            Self::Https(host) => write!(f, "https://{host}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// An address of the API, and who said that it is there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The address.
    pub(super) url: Url,
    said_by: String,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.url, self.said_by)
    }
}

impl Place {
    /// From `--url` if it is given, else from the configuration; a configuration that nobody asked for may be
    /// missing, and then it is the default.
    pub(super) fn find(url: Option<&Url>, configuration: Option<&Path>) -> Result<Self, Failure> {
        if let Some(url) = url {
            return Ok(Self { url: url.clone(), said_by: "from --url".to_owned() });
        }
        let file = configuration.unwrap_or(Path::new(CONFIGURATION));
        if configuration.is_none() && is_missing(file) {
            let said_by = format!("the default, because there is no {CONFIGURATION}; --url says otherwise");
            return Ok(Self { url: served(&Admin::default()), said_by });
        }
        let admin = config::load(file).map_err(Failure::Place)?.admin;
        Ok(Self { url: served(&admin), said_by: format!("admin.address in {}", file.display()) })
    }
}

fn is_missing(file: &Path) -> bool {
    std::fs::metadata(file).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Where a lastpop with this section listens, as seen from its own machine.
fn served(admin: &Admin) -> Url {
    let address = match &admin.address {
        AdminAddress::Unix(path) => return Url::Unix(path.clone()),
        AdminAddress::Tcp(address) => address,
    };
    // "Any address" can be listened on, but not connected to.
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let host = HostPort { host: ip.to_string(), port: address.port() };
    if admin.tls { Url::Https(host) } else { Url::Http(host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("http://127.0.0.1:9110", "http://127.0.0.1:9110"),
            ("http://[::1]:9110/", "http://[::1]:9110"),
            ("https://pop.example.net", "https://pop.example.net:443"),
            ("http://pop.example.net", "http://pop.example.net:80"),
            ("unix:/run/lastpop/admin.sock", "unix:/run/lastpop/admin.sock"),
            ("unix:///run/x", "unix:/run/x"),
        ] {
            assert_eq!(text.parse::<Url>().expect(text).to_string(), shown);
        }
        for text in [
            "",
            "127.0.0.1:9110",
            "ftp://x:1",
            "http://",
            "http://x:1/api",
            "http://user:password@x:1",
            "unix:",
            "unix:x",
            "http://x:0",
        ] {
            assert_eq!(text.parse::<Url>(), Err(BadUrl), "{text}");
        }
    }

    #[test]
    fn a_token_in_the_clear_is_noticed() {
        for (text, exposed) in [
            ("http://127.0.0.1:1", false),
            ("http://[::1]:1", false),
            ("http://localhost:1", false),
            ("https://192.0.2.1:1", false),
            ("unix:/x", false),
            ("http://192.0.2.1:1", true),
            ("http://pop.example.net:1", true),
        ] {
            assert_eq!(text.parse::<Url>().expect(text).is_exposed(), exposed, "{text}");
        }
    }

    #[test]
    fn where_lastpop_listens_is_where_it_is_asked() {
        for (address, tls, url) in [
            ("127.0.0.1:9110", false, "http://127.0.0.1:9110"),
            ("0.0.0.0:9110", true, "https://127.0.0.1:9110"),
            ("[::]:9110", true, "https://[::1]:9110"),
            ("unix:/run/lastpop/admin.sock", false, "unix:/run/lastpop/admin.sock"),
        ] {
            let section = format!("address = \"{address}\"\ntls = {tls}");
            let admin: Admin = toml::from_str(&section).expect("a section");
            assert_eq!(served(&admin).to_string(), url);
        }
    }

    #[test]
    fn a_configuration_that_was_asked_for_must_be_there() {
        let error = Place::find(None, Some(Path::new("/nonexistent/x.toml"))).expect_err("no file");
        assert_eq!(error.code(), 78);
        assert!(error.to_string().contains("say where lastpop is with --url"), "{error}");
        let url = "http://127.0.0.1:1".parse().expect("a URL");
        let place = Place::find(Some(&url), Some(Path::new("/nonexistent/x.toml"))).expect("--url wins");
        assert_eq!(place.to_string(), "http://127.0.0.1:1 (from --url)");
    }
}
