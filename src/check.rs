//! `lastpop check`: reads the configuration as `serve` would, connects to every upstream address, and says
//! what it found in sentences that an operator can act on. Needs no user and no password; only master credentials are
//! tried on a user, who has to be named.

mod master;

use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use crate::admin::token_file::Tokens;
use crate::config::{self, Config, HostPort, ListenTls, Plaintext, StateUrl, UpstreamTls, Verify};
use crate::imap::capability::{self, Capability};
use crate::imap::client::Terms;
use crate::imap::{Capabilities, Client, Error};
use crate::net::Dialer;
use crate::net::tls::{self, Certificates};
use crate::serve::StartError;
use crate::templates;

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Customers can be served.
    Usable,
    /// They can, but the master credentials cannot be used as they should.
    MasterUnusable,
    /// Not one upstream address can be used.
    Unreachable,
}

/// Checks, and prints what it finds to stdout. The master credentials are tried on `user`.
pub async fn check(path: &Path, user: Option<&str>) -> Result<Verdict, StartError> {
    let config = config::load(path)?;
    let files = config.tls.certificates.iter().map(|files| (files.chain.as_path(), files.key.as_path()));
    // Without these it is of no use, however well it is written.
    Certificates::load(files)?;
    say(&format!("{}: the configuration is valid.", path.display()))?;
    for line in listeners(&config) {
        say(&line)?;
    }
    templates::for_config(&config).map_err(crate::session::context::SettingsError::from)?;
    switch(&config, jiff::Timestamp::now()).into_iter().try_for_each(say)?;
    say(&state(&config.state.url))?;
    say(&admin(&config.admin))?;
    let (master, said) = master::of(&config, user)?;
    for line in said {
        say(&line)?;
    }
    let mut master_fits = master.is_some() || user.is_none();
    let tls = tls::client(config.upstream.verify, config.upstream.ca_file.as_deref())?;
    let mut usable = false;
    for address in &config.upstream.address {
        let dialer = Dialer::Network {
            addresses: vec![address.clone()],
            connect_timeout: config.upstream.connect_timeout,
            tls: tls.clone(),
            implicit: config.upstream.tls == UpstreamTls::Implicit,
        };
        let terms = Terms {
            starttls: config.upstream.tls == UpstreamTls::StartTls,
            // Somebody is waiting at a terminal.
            response_timeout: config.upstream.response_timeout.min(Duration::from_secs(15)),
        };
        match Client::connect(&dialer, terms).await {
            Ok(client) => {
                let capabilities = client.capabilities();
                let lines = found(address, &config, client).await;
                usable |= lines.usable;
                for line in &lines.text {
                    say(line)?;
                }
                let Some(master) = &master else { continue };
                let (fits, said) = match master.fits(capabilities) {
                    Some(why) => (false, why.to_owned()),
                    None => match master.opens(&dialer, terms).await {
                        Some(opened) => opened,
                        None => continue,
                    },
                };
                master_fits &= fits;
                say(&format!("upstream {address}: {said}"))?;
            }
            Err(error) => say(&format!("upstream {address}: CANNOT BE USED: {}", advice(&error)))?,
        }
    }
    Ok(match (usable, master_fits) {
        (true, true) => Verdict::Usable,
        (true, false) => Verdict::MasterUnusable,
        (false, _) => Verdict::Unreachable,
    })
}

/// Says a line. Whoever reads no more still gets the exit code; but what cannot be written must not look well.
fn say(line: &str) -> Result<(), StartError> {
    match writeln!(io::stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(StartError::Output(error)),
        _ => Ok(()),
    }
}

/// What would surprise when users are switched.
fn switch(config: &Config, now: jiff::Timestamp) -> Vec<&'static str> {
    let (policy, windows) = (&config.policy, config.policy.windows());
    let mut lines = Vec::new();
    if !policy.brownout.is_empty()
        && windows.active(now).or(windows.next(now).map(|(from, _)| from)).is_none()
    {
        lines.push(
            "policy: WARNING: all windows in [[policy.brownout]] are over, so the mode \"brownout\" refuses nobody.",
        );
    }
    if policy.url.is_none() {
        lines.push(
            "policy: policy.url is empty, so no notice that names a page by {url} is shown: the built-in ones do.",
        );
    }
    if config.users.default_domain.is_empty() && config.notices.sender_domain.is_none() {
        lines.push(
            "notices: users without a domain would get them from postmaster@lastpop.invalid; set \
            notices.sender_domain, or users.default_domain.",
        );
    }
    lines
}

fn listeners(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for listen in &config.listen {
        let plain = listen.plaintext.unwrap_or(config.login.plaintext) == Plaintext::Always;
        let tls = match listen.tls {
            ListenTls::None => "without TLS",
            ListenTls::StartTls => "with STLS",
            ListenTls::Implicit => "with implicit TLS",
        };
        lines.push(format!("listener {}: POP3 {tls}.", listen.address));
        if plain && listen.tls != ListenTls::Implicit {
            lines.push(format!(
                "listener {}: WARNING: passwords are taken without TLS (plaintext = \"always\").",
                listen.address
            ));
        }
    }
    lines
}

/// The database is not opened: that would make it, as whoever runs this and not as the service's user.
fn state(url: &StateUrl) -> String {
    let path = match url {
        StateUrl::Sqlite(path) => path,
        StateUrl::Postgres(server) => {
            return format!("state: PostgreSQL at {server}; `serve` connects to it.");
        }
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match folder {
        _ if path.exists() => format!("state: {} is there.", path.display()),
        Some(folder) if !folder.is_dir() => {
            format!(
                "state: WARNING: the folder {} does not exist: make it, owned by lastpop's user.",
                folder.display()
            )
        }
        _ => format!("state: {} will be made at the first start.", path.display()),
    }
}

fn admin(config: &config::Admin) -> String {
    let (address, file) = (&config.address, config.token_file.display());
    match Tokens::read(&config.token_file) {
        Tokens::Known(entries) => {
            let tokens = if entries.len() == 1 { "token" } else { "tokens" };
            format!("admin {address}: the API takes {} {tokens}, from {file}.", entries.len())
        }
        Tokens::Missing => format!(
            "admin {address}: there is no {file}, so nobody can use the API; `lastpop token create` makes it."
        ),
        Tokens::Unusable(message) => {
            format!("admin {address}: WARNING: nobody can use the API until this is mended: {message}.")
        }
    }
}

struct Found {
    usable: bool,
    text: Vec<String>,
}

async fn found(address: &HostPort, config: &Config, mut client: Client) -> Found {
    let mut text = Vec::new();
    let mut say = |line: String| text.push(format!("upstream {address}: {line}"));
    match (client.tls_version(), config.upstream.verify) {
        (Some(version), Verify::Full) => say(format!("connected with {version}; the certificate is valid.")),
        (Some(version), Verify::Off) => say(format!(
            "WARNING: connected with {version}, but upstream.verify is \"off\": whoever is in between reads every password."
        )),
        (None, _) => {
            say("WARNING: connected without TLS: passwords cross this network in the clear.".to_owned());
        }
    }
    let all = client.capabilities();
    if let Ok(Some(id)) = client.id(&[("name", "lastpop".to_owned())]).await {
        say(format!("it says of itself: {}.", printable(&id)));
    }
    let names: Vec<&str> =
        capability::ALL.iter().filter(|(_, one)| all.has(*one)).map(|(name, _)| *name).collect();
    say(format!("it offers, before login, of what matters here: {}.", names.join(", ")));
    let usable = takes_passwords(all);
    if usable {
        say("it takes user names and passwords on this connection.".to_owned());
    } else {
        say("CANNOT BE USED: it takes no passwords on this connection (LOGINDISABLED); set upstream.tls to \
            \"implicit\" or \"starttls\"."
            .to_owned());
    }
    if !all.has(Capability::Id) {
        say("it does not offer ID before login, so it cannot be told the customers' addresses: to its limits and \
            logs all of them come from this machine. Raise its limit of connections for one address."
            .to_owned());
    }
    say("whether mailboxes can keep the hiding keyword shows only after a login; where one cannot, DELE is \
        answered with -ERR [SYS/PERM] and nothing is hidden."
        .to_owned());
    client.logout().await;
    Found { usable, text }
}

const fn takes_passwords(all: Capabilities) -> bool {
    all.has(Capability::AuthPlain) || !all.has(Capability::LoginDisabled)
}

/// Longest text of a server's own that is shown.
const MAX_TEXT: usize = 200;

fn printable(text: &[u8]) -> String {
    text[..text.len().min(MAX_TEXT)].escape_ascii().to_string().replace("\\\"", "\"")
}

/// What failed, and what to do about it.
fn advice(error: &Error) -> String {
    let next = match error {
        Error::Connect { .. } => "Is the address right, and does a firewall let us through?",
        Error::ConnectTimeout { .. } | Error::Timeout => {
            "Does something else than an IMAP server answer there, or does it expect TLS differently (upstream.tls)?"
        }
        Error::Tls { .. } => {
            "Name the CA in upstream.ca_file, use the name that the certificate carries, or check upstream.tls."
        }
        Error::Protocol(_) | Error::Incomplete | Error::Closed | Error::Io(_) => {
            "Is this an IMAP server, and is upstream.tls right?"
        }
        Error::Unusable(_) => "Set upstream.tls to what the server offers.",
        Error::Bye(_) | Error::Credentials | Error::No { .. } | Error::Bad { .. } => {
            "Look at the server's own log."
        }
    };
    format!("{error}. {next}")
}
