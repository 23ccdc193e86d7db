//! Values as people write them in the configuration, parsed into types that hold only what makes sense.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::tz::TimeZone;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer};

use crate::imap::Keyword;
use crate::policy::Url;
use crate::uidl::Recipe;

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPort {
    /// The name that a certificate must carry; IPv6 addresses without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HostPort {
    /// `host:port` or `[ipv6]:port`.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_name =
            |host: &str| host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-._".contains(&octet));
        let host = match bare {
            Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok()?.to_string(),
            None if !host.is_empty() && is_name(host) => host.to_owned(),
            None => return None,
        };
        Some(Self { host, port })
    }
}

impl std::fmt::Display for HostPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A bound that can be taken away, but only by saying so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(Option<NonZeroU32>);

impl Limit {
    /// A bound; zero is none, which a configuration can only say as `"off"`.
    pub const fn at(most: u32) -> Self {
        Self(NonZeroU32::new(most))
    }

    /// Would one more than `there` be too many?
    pub fn is_reached(self, there: u32) -> bool {
        self.0.is_some_and(|most| there >= most.get())
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a number from 1 on, or \"off\"";
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(i64),
            Word(String),
        }
        match Written::deserialize(from) {
            Ok(Written::Word(word)) if word == "off" => Ok(Self(None)),
            Ok(Written::Number(number)) => match u32::try_from(number).ok().and_then(NonZeroU32::new) {
                Some(most) => Ok(Self(Some(most))),
                None => Err(D::Error::invalid_value(Unexpected::Signed(number), &EXPECTED)),
            },
            Ok(Written::Word(word)) => Err(D::Error::invalid_value(Unexpected::Str(&word), &EXPECTED)),
            Err(_) => Err(D::Error::custom(format!("expected {EXPECTED}"))),
        }
    }
}

/// Which database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateUrl {
    /// `sqlite://` and a path: a file on this machine, for one proxy.
    Sqlite(PathBuf),
    /// `postgres://…`: a server, for a fleet.
    Postgres(ServerUrl),
}

/// The address of a database server. It may hold a password, so only host and database are ever printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

impl ServerUrl {
    /// All of it, password included.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        f.write_str(rest.rsplit_once('@').map_or(rest, |(_, place)| place))
    }
}

impl std::fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

impl StateUrl {
    /// `sqlite://path` or `postgres://…`
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once("://") {
            Some(("sqlite", path)) if !path.is_empty() => Some(Self::Sqlite(PathBuf::from(path))),
            Some(("postgres" | "postgresql", place)) if !place.is_empty() => {
                Some(Self::Postgres(ServerUrl(text.to_owned())))
            }
            _ => None,
        }
    }
}

impl Default for StateUrl {
    fn default() -> Self {
        Self::Sqlite(PathBuf::from("/var/lib/lastpop/state.db"))
    }
}

impl<'de> Deserialize<'de> for StateUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "sqlite:// and a path, such as \"sqlite:///var/lib/lastpop/state.db\", or the address \
            of a PostgreSQL server, such as \"postgres://lastpop@db.example.net/lastpop\"";
        // It may hold a password: it is not repeated.
        Self::parse(&String::deserialize(from)?)
            .ok_or_else(|| D::Error::custom(format!("expected {EXPECTED}")))
    }
}

/// A number from 1 on.
/// A number of octets, such as `"128MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Octets(pub u64);

/// Units of octets.
const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

impl Octets {
    /// A number and a unit; without one they are octets.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) =
            UNITS.iter().find_map(|(name, unit)| Some((text.trim_end().strip_suffix(name)?, unit)))?;
        Some(Self(number.trim().parse::<u64>().ok()?.checked_mul(*unit)?))
    }
}

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text)
            .ok_or_else(|| D::Error::custom(format!("expected a size such as \"128MiB\", found {text:?}")))
    }
}

pub(super) fn positive<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    match u32::deserialize(from)? {
        0 => Err(D::Error::invalid_value(Unexpected::Unsigned(0), &"a number from 1 on")),
        number => Ok(number),
    }
}

/// A duration with its unit, such as `30s`, `10m` or `90d` (days of 24 hours); longer than nothing.
pub(super) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    const EXPECTED: &str = "a duration with a unit, such as \"30s\", \"10m\" or \"90d\"";
    let text = String::deserialize(from).map_err(|_| D::Error::custom(format!("expected {EXPECTED}")))?;
    let parsed: Option<jiff::Span> = text.parse().ok();
    parsed
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok())
        .and_then(|signed| Duration::try_from(signed).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
}

/// A time zone of the IANA database.
pub(super) fn time_zone<'de, D: Deserializer<'de>>(from: D) -> Result<TimeZone, D::Error> {
    const EXPECTED: &str = "a time zone of the IANA database, such as \"Europe/Riga\" or \"UTC\"";
    let text = String::deserialize(from)?;
    let known = TimeZone::get(&text).ok().filter(|zone| !zone.is_unknown());
    known.ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
}

/// A page; an empty one is none.
pub(super) fn url_or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(from)?;
    (!text.is_empty()).then(|| Url::try_from(text).map_err(D::Error::custom)).transpose()
}

/// One `host:port`, or a list of them.
pub(super) fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<HostPort>, D::Error> {
    const EXPECTED: &str = "\"host:port\" or a list of such";
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        One(String),
        More(Vec<String>),
    }
    let texts = match Written::deserialize(from) {
        Ok(Written::One(text)) => vec![text],
        Ok(Written::More(texts)) => texts,
        Err(_) => return Err(D::Error::custom(format!("expected {EXPECTED}"))),
    };
    let parse = |text: &String| {
        HostPort::parse(text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(text), &EXPECTED))
    };
    texts.iter().map(parse).collect()
}

/// A path; an empty one is none.
pub(super) fn path_or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(from)?;
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

/// An address with a port.
pub(super) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    const EXPECTED: &str = "an address with a port, such as \"0.0.0.0:110\" or \"[::]:110\"";
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
}

/// An address with a port; an empty text is none.
pub(super) fn address_or_empty<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    const EXPECTED: &str = "an address with a port, such as \"127.0.0.1:9111\", or nothing";
    let text = String::deserialize(from)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
}

/// An IMAP keyword.
pub(super) fn keyword<'de, D: Deserializer<'de>>(from: D) -> Result<Keyword, D::Error> {
    const EXPECTED: &str = "an IMAP keyword: up to 50 visible ASCII characters, none of ( ) { % * \" \\ ]";
    let text = String::deserialize(from)?;
    Keyword::parse(&text).ok_or_else(|| D::Error::invalid_value(Unexpected::Str(&text), &EXPECTED))
}

/// A recipe for unique-ids.
pub(super) fn recipe<'de, D: Deserializer<'de>>(from: D) -> Result<Recipe, D::Error> {
    Recipe::parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port() {
        for (text, host, port) in
            [("imap.example.net:993", "imap.example.net", 993), ("[::1]:143", "::1", 143)]
        {
            let parsed = HostPort::parse(text).expect(text);
            assert_eq!((parsed.host.as_str(), parsed.port), (host, port));
            assert_eq!(parsed.to_string(), text);
        }
        for text in [
            "",
            "imap.example.net",
            ":993",
            "a:0",
            "a:x",
            "a:65536",
            "::1:143",
            "[x]:1",
            "a b:1",
            "imap://a:1",
        ] {
            assert_eq!(HostPort::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_server_is_printed_without_its_secrets() {
        let url = StateUrl::parse("postgres://lastpop:s3cret@db.example.net:5432/lastpop?password=s3cret");
        let Some(StateUrl::Postgres(url)) = url else { panic!("a server") };
        assert_eq!(url.to_string(), "db.example.net:5432/lastpop");
        assert!(!format!("{url:?}").contains("s3cret"));
        assert_eq!(StateUrl::parse("mysql://x"), None);
    }

    #[test]
    fn a_limit_that_is_off_is_never_reached() {
        assert!(Limit::at(2).is_reached(2) && !Limit::at(2).is_reached(1));
        assert!(!Limit(None).is_reached(u32::MAX));
    }

    #[test]
    fn octets_with_their_units() {
        for (text, octets) in [
            ("0", Some(0)),
            ("128MiB", Some(128 << 20)),
            (" 1 KiB", Some(1024)),
            ("2GiB", Some(2 << 30)),
            ("7", Some(7)),
        ] {
            assert_eq!(Octets::parse(text).map(|octets| octets.0), octets, "{text}");
        }
        for text in ["", "MiB", "1MB", "-1", "1.5MiB", "99999999999GiB", "1 MiBs"] {
            assert_eq!(Octets::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_with_their_units() {
        use serde::de::IntoDeserializer;
        let read = |text: &'static str| {
            let from: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
                text.into_deserializer();
            duration(from).ok().map(|duration| duration.as_secs())
        };
        for (text, seconds) in
            [("30s", 30), ("10m", 600), ("1h 30m", 5_400), ("90d", 7_776_000), ("1d12h", 129_600)]
        {
            assert_eq!(read(text), Some(seconds), "{text}");
        }
        for text in ["", "30", "0s", "-5s", "1d ago", "1mo", "1y", "d", "999999999999d"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
