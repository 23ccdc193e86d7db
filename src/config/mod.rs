//! The configuration: one struct per section, with every key's meaning, unit, default and reason.
//!
//! `config/lastpop.toml` says the same for administrators. [`load()`] reads it: a file in TOML, then the
//! environment over it (`LASTPOP_UPSTREAM__ADDRESS`). Values are parsed into types that cannot hold what
//! makes no sense, so nothing is validated later; what two keys must agree on is in `check`.

mod admin;
mod check;
mod domains;
mod load;
mod master;
mod notices;
mod policy;
mod usage;
mod values;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use crate::imap::Keyword;
use crate::uidl::Recipe;
use crate::users::Names;
pub use admin::{Admin, AdminAddress, Metrics, UserSeries};
pub use domains::{Domain, Domains};
pub use load::{ConfigError, load};
pub use master::{Master, Style};
pub use notices::Notices;
pub use policy::Policy;
pub use usage::Usage;
pub use values::{HostPort, Limit, Octets, ServerUrl, StateUrl};

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where POP3 is served; at least one.
    pub listen: Vec<Listen>,
    /// Certificates shown to clients.
    pub tls: Tls,
    /// What a login may look like.
    pub login: Login,
    /// The IMAP server.
    pub upstream: Upstream,
    /// What is remembered of mailboxes.
    pub cache: Cache,
    /// How names become users.
    pub users: Names,
    /// Bounds.
    pub limits: Limits,
    /// How a mailbox is shown as a maildrop.
    pub maildrop: Maildrop,
    /// What POP3 does for users, and what those read for whom it does less.
    pub policy: Policy,
    /// What is different for single domains.
    pub domains: Domains,
    /// The message that tells customers to switch.
    pub notices: Notices,
    /// Where facts are kept that must outlive the process.
    pub state: State,
    /// What is remembered of how customers use POP3.
    pub usage: Usage,
    /// The API, and what is served beside it.
    pub admin: Admin,
    /// What is counted, and who may read it where.
    pub metrics: Metrics,
    /// What is logged, and how.
    pub log: Log,
}

/// `[[listen]]`: one POP3 listener.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// Address and port. `[::]:110` takes IPv4 as well.
    #[serde(deserialize_with = "values::address")]
    pub address: SocketAddr,
    /// When TLS begins.
    pub tls: ListenTls,
    /// Overrides `login.plaintext` for this listener.
    #[serde(default)]
    pub plaintext: Option<Plaintext>,
}

/// When TLS begins on a POP3 listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListenTls {
    /// Never: for a listener behind something that does TLS.
    None,
    /// When the client says STLS (RFC 2595).
    StartTls,
    /// With the first octet (RFC 8314).
    Implicit,
}

impl ListenTls {
    /// The word in the configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::StartTls => "starttls",
            Self::Implicit => "implicit",
        }
    }
}

/// `[tls]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Certificates, each with its key; chosen by the name and the algorithms that a client offers, the
    /// first when none fits better.
    pub certificates: Vec<CertificateFiles>,
}

/// A certificate and its key, both in PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateFiles {
    /// The certificate and those above it.
    pub chain: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `[login]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Login {
    /// May a password be sent without TLS?
    pub plaintext: Plaintext,
}

/// May a password be sent without TLS?
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plaintext {
    /// No: it is refused at USER, before the password is sent (RFC 8314 §3).
    #[default]
    TlsOnly,
    /// Yes. Such logins are counted.
    Always,
}

/// `[upstream]`: the IMAP server.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// One `host:port` or a list that is tried in order.
    #[serde(deserialize_with = "values::one_or_more")]
    pub address: Vec<HostPort>,
    /// When TLS begins.
    pub tls: UpstreamTls,
    /// More roots to trust, in PEM, besides the system's.
    #[serde(deserialize_with = "values::path_or_empty")]
    pub ca_file: Option<PathBuf>,
    /// How the certificate is checked.
    pub verify: Verify,
    /// Longest time to connect, for each address. 5 s: a client gives up on us after 30 to 60.
    #[serde(deserialize_with = "values::duration")]
    pub connect_timeout: Duration,
    /// An upstream that sends nothing for this long counts as gone.
    #[serde(deserialize_with = "values::duration")]
    pub response_timeout: Duration,
    /// How a mailbox is opened there.
    pub opening: Opening,
    /// Connections at most that are made before somebody logs in. 16: they are as many as are used within 20 s.
    pub reserve: u32,
    /// Credentials that open any user's mailbox, for what operators order; never for sessions.
    pub master: Option<Master>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            address: Vec::new(),
            tls: UpstreamTls::Implicit,
            ca_file: None,
            verify: Verify::Full,
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_mins(1),
            opening: Opening::Auto,
            reserve: 16,
            master: None,
        }
    }
}

/// How a mailbox is opened upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Opening {
    /// Everything is said at once, where the server is seen to answer that.
    Auto,
    /// One command after the other.
    LockStep,
}

/// `[cache]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cache {
    /// Octets at most for what users' mailboxes held at their last poll. 128 MiB: four octets a message, and some
    /// hundred for each user.
    pub maildrops: Octets,
}

impl Default for Cache {
    fn default() -> Self {
        Self { maildrops: Octets(128 << 20) }
    }
}

/// When TLS towards the upstream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpstreamTls {
    /// Never: for an upstream on the same machine or a private network.
    None,
    /// By STARTTLS, or not at all.
    StartTls,
    /// With the first octet.
    Implicit,
}

/// How the upstream's certificate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// Chain, name and dates.
    Full,
    /// Not at all: whoever is in between reads every password.
    Off,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Sessions at once. Never more than the file descriptors allow; each takes two.
    #[serde(deserialize_with = "values::positive")]
    pub sessions: u32,
    /// Connections from one address (IPv6: one /64) that are not logged in.
    pub connections_per_address: Limit,
    /// Networks whose addresses are not counted for that: the ISP's own, webmail, carrier-grade NAT.
    pub exempt_networks: Vec<IpNet>,
    /// Sessions of one user at once.
    pub sessions_per_user: Limit,
    /// Wrong passwords on one connection, before it is closed.
    #[serde(deserialize_with = "values::positive")]
    pub login_failures: u32,
    /// A client that says nothing for this long is disconnected. RFC 1939 §3 asks for 10 minutes or more.
    #[serde(deserialize_with = "values::duration")]
    pub idle_timeout: Duration,
    /// How long sessions may go on after SIGTERM.
    #[serde(deserialize_with = "values::duration")]
    pub drain_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 20_000,
            connections_per_address: Limit::at(20),
            exempt_networks: Vec::new(),
            sessions_per_user: Limit::at(10),
            login_failures: 3,
            idle_timeout: Duration::from_mins(10),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

/// `[maildrop]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Maildrop {
    /// How a deleted message is hidden.
    pub hide: Hide,
    /// The keyword that hides a message. The default is Dovecot's name for the same thing.
    #[serde(deserialize_with = "values::keyword")]
    pub hide_keyword: Keyword,
    /// When a message becomes `\Seen` for IMAP clients.
    pub seen: Seen,
    /// The recipe for unique-ids.
    #[serde(deserialize_with = "values::recipe")]
    pub uidl: Recipe,
}

impl Default for Maildrop {
    #[allow(clippy::expect_used, reason = "both texts are constants, and a test loads the default")]
    fn default() -> Self {
        Self {
            hide: Hide::Auto,
            hide_keyword: Keyword::parse("$POP3Deleted").expect("an atom"),
            seen: Seen::Retr,
            uidl: Recipe::parse("dovecot").expect("a known recipe"),
        }
    }
}

/// How a deleted message is hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hide {
    /// In the best way that the mailbox offers; at present that is the keyword.
    Auto,
    /// By the keyword.
    Keyword,
}

/// When a message becomes `\Seen` for IMAP clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// When it was retrieved whole, or deleted.
    Retr,
    /// When it was deleted.
    Dele,
    /// Never.
    Never,
}

/// `[state]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct State {
    /// The database.
    pub url: StateUrl,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// What is logged, as tracing-subscriber's `EnvFilter` has it: `info`, `warn`, `lastpop=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Auto, level: "info".to_owned() }
    }
}

/// Lines for people or for machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Text.
    Text,
    /// One JSON object a line.
    Json,
}
