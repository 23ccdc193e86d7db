//! Reading the configuration, so that whoever got it wrong is told the file, the line, the key and what
//! was expected.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Toml};

use super::{Config, check};

/// The prefix of environment variables; `__` stands between section and key.
const PREFIX: &str = "LASTPOP_";

/// Names the place and what is wrong there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {message}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        message: String,
    },
    /// Something in the file cannot be used.
    #[error("{}:{line}: {key}{message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// The key with `: ` behind it, or nothing.
        key: String,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// A value from the environment cannot be used.
    #[error("environment variable {variable}: {message}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// Two keys contradict each other, or one is missing.
    #[error("{}: {message}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Which, and what to do.
        message: String,
    },
}

/// Reads `path` and the environment. The file is read alone first: the TOML reader knows lines, figment
/// knows where among file and environment a value came from.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let unreadable = |error: std::io::Error| ConfigError::Unreadable {
        path: path.to_owned(),
        message: format!("cannot be read: {error}; name the configuration with --config"),
    };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    if let Err(error) = toml::from_str::<Config>(&text) {
        return Err(in_file(path, &text, &error));
    }
    // Kubernetes gives every container LASTPOP_SERVICE_HOST, LASTPOP_PORT_110_TCP and the like if there is a
    // service of that name.
    let ours = |key: &figment::value::UncasedStr| {
        !(key == "config"
            || key == "token"
            || key == "port"
            || key.starts_with("service_")
            || key.starts_with("port_"))
    };
    let environment = Env::prefixed(PREFIX).filter(ours).split("__");
    let config: Config = Figment::new()
        .merge(Toml::string(&text))
        .merge(environment)
        .extract()
        .map_err(|error| in_environment(&error))?;
    let contradiction = |message| ConfigError::Contradiction { path: path.to_owned(), message };
    check::check(&config).map_err(contradiction)?;
    Ok(config)
}

fn in_file(path: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
    let start = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = &text[..start];
    ConfigError::File {
        path: path.to_owned(),
        line: before.matches('\n').count() + 1,
        key: key_at(text, start),
        message: error.message().replace('\n', "; "),
    }
}

/// The key on the line of the octet at `at`, behind the name of the table that it stands in.
fn key_at(text: &str, at: usize) -> String {
    let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line = text[line_start..].lines().next().unwrap_or_default();
    let name = |line: &str| {
        line.trim()
            .strip_prefix('[')
            .map(|rest| rest.split(']').next().unwrap_or(rest).trim_matches('[').to_owned())
    };
    let table = text[..line_start].lines().rev().find_map(name);
    match (name(line), line.split_once('='), table) {
        (Some(table), _, _) => format!("[{table}]: "),
        (None, Some((key, _)), Some(table)) => format!("{table}.{}: ", key.trim()),
        (None, Some((key, _)), None) => format!("{}: ", key.trim()),
        (None, None, _) => String::new(),
    }
}

fn in_environment(error: &figment::Error) -> ConfigError {
    let mut path = error.path.clone();
    let message = if let figment::error::Kind::UnknownField(field, known) = &error.kind {
        if path.last() != Some(field) {
            path.push(field.clone());
        }
        let known = known.join(", ");
        format!("there is no key `{field}` here, only {known}; two underscores stand between section and key")
    } else {
        error.kind.to_string()
    };
    ConfigError::Environment { variable: format!("{PREFIX}{}", path.join("__").to_uppercase()), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "[[listen]]\naddress = \"127.0.0.1:110\"\ntls = \"none\"\n[login]\nplaintext = \"always\"\n\
        [upstream]\naddress = \"imap.example.net:993\"\n";

    fn loaded(text: &str) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lastpop.toml");
        std::fs::write(&path, text).expect("written");
        load(&path)
    }

    fn message(text: &str) -> String {
        let error = loaded(text).expect_err(text).to_string();
        error.rsplit_once("lastpop.toml").map(|(_, rest)| rest.to_owned()).unwrap_or(error)
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let config = loaded(GOOD).expect("a good file");
        assert_eq!(config.limits, super::super::Limits::default());
        assert_eq!(config.maildrop.hide_keyword.as_str(), "$POP3Deleted");
        assert_eq!(config.upstream.address[0].to_string(), "imap.example.net:993");
    }

    #[test]
    fn mistakes_name_line_key_and_what_was_expected() {
        let table = [
            (
                "[limits]\nsesions = 5\n",
                ":9: limits.sesions: unknown field `sesions`, expected one of `sessions`",
            ),
            ("[limit]\n", ":8: [limit]: unknown field `limit`, expected one of `listen`"),
            (
                "[limits]\nsessions = \"many\"\n",
                ":9: limits.sessions: invalid type: string \"many\", expected u32",
            ),
            (
                "[limits]\nsessions = 0\n",
                ":9: limits.sessions: invalid value: integer `0`, expected a number from 1 on",
            ),
            ("[limits]\nsessions_per_user = 0\n", "expected a number from 1 on, or \"off\""),
            ("[limits]\ndrain_timeout = \"30\"\n", "expected a duration with a unit"),
            ("[limits]\nexempt_networks = [\"10.0.0.0/33\"]\n", ":9: limits.exempt_networks: "),
            ("[limits]\ndrain_timeout = 30\n", ":9: limits.drain_timeout: expected a duration with a unit"),
            ("[limits]\ndrain_timeout = \"-5s\"\n", "expected a duration with a unit"),
            (
                "[maildrop]\nseen = \"always\"\n",
                ":9: maildrop.seen: unknown variant `always`, expected one of `retr`, `dele`, `never`",
            ),
            ("[maildrop]\nhide_keyword = \"\\\\Deleted\"\n", "expected an IMAP keyword"),
            ("[maildrop]\nuidl = \"dovcot\"\n", ":9: maildrop.uidl: `dovcot` is neither a known recipe"),
            ("[limits]\nidle_timeout = \"5m\"\n", ": limits.idle_timeout is under 10m"),
            ("[[listen]]\naddress = \"127.0.0.1:995\"\ntls = \"implicit\"\n", "tls.certificates is empty"),
            ("[usage]\nretention = \"30d\"\n", ":9: usage.retention: expected \"90d\" or more"),
            ("[metrics]\nusers_most = 100001\n", ":9: metrics.users_most: expected 100000 or less"),
            ("[usage]\nflush_interval = \"2d\"\n", ":9: usage.flush_interval: expected \"1d\" or less"),
            ("[limits\n", ":8: "),
            (
                "[policy]\nmode = \"imap\"\n",
                ":9: policy.mode: unknown variant `imap`, expected one of `pop3`, `notice`, `brownout`, `imap-only`",
            ),
            (
                "[policy]\ntime_zone = \"Riga\"\n",
                ":9: policy.time_zone: invalid value: string \"Riga\", expected a time zone of the IANA database",
            ),
            ("[policy]\nremember_verified = \"1mo\"\n", ":9: policy.remember_verified: invalid value"),
            ("[policy]\nurl = \"example.net\"\n", ":9: policy.url: `example.net` is no address of a page"),
            (
                "[policy]\nlanguage = \"Latvian language\"\n",
                ":9: policy.language: `Latvian language` is no language",
            ),
            ("[[policy.brownout]]\ndays = \"mo\"\n", ":9: policy.brownout.days: `mo` names no days"),
            ("[[policy.brownout]]\ndays = \"mon\"\n", ":8: [policy.brownout]: missing field `from`"),
            (
                "[[policy.brownout]]\ndays = \"mon\"\nfrom = \"9\"\n",
                ":10: policy.brownout.from: invalid value: string \"9\", expected a time of the day",
            ),
            (
                "[policy.refusals.imap-only]\nen = \"Use IMAP.\"\nlv = \"Lietojiet IMAP, lūdzu.\"\n",
                ":10: policy.refusals.imap-only.lv: `\\u{16b}` is neither a visible ASCII character",
            ),
            (
                "[policy.refusals.imap-only]\nen = \"Dear {name}\"\n",
                ":9: policy.refusals.imap-only.en: `{name}` begins with a brace, but only {user}, {url} and {until}",
            ),
            (
                "[policy.refusals.outage]\nen = \"x\"\n",
                "unknown field `outage`, expected `imap-only` or `brownout`",
            ),
            ("[policy.refusals]\nimap-only.english-please = \"x\"\nx = 1\n", "unknown field `x`"),
            ("[domains.\"*\"]\nmode = \"pop3\"\n", ":8: [domains.\"*\"]: `*` is no domain"),
            ("[domains.\"\"]\nmode = \"pop3\"\n", "what holds for everyone is in [policy]"),
            (
                "[domains.\"example.net\"]\nmod = \"pop3\"\n",
                ":9: domains.\"example.net\".mod: unknown field `mod`, expected one of `mode`",
            ),
            (
                "[domains.\"example.net\".refusals.brownout]\nen = \"\"\n",
                ":9: domains.\"example.net\".refusals.brownout.en: the sentence is empty",
            ),
            ("[admin]\naddress = \"9110\"\n", ":9: admin.address: invalid value"),
            ("[admin]\nrequests_per_second = 0\n", ":9: admin.requests_per_second: invalid value"),
            ("[admin]\naddress = \"0.0.0.0:9110\"\n", "while admin.tls is false"),
            ("[admin]\naddress = \"unix:/run/x\"\ntls = true\n", "is a unix socket"),
            ("[admin]\ntls = true\n", "admin.tls is true, but tls.certificates is empty"),
            ("[metrics]\naddress = \"9111\"\n", ":9: metrics.address: invalid value"),
            ("[metrics]\nusers = \"some\"\n", ":9: metrics.users: unknown variant `some`"),
        ];
        for (mistake, expected) in table {
            let message = message(&format!("{GOOD}{mistake}"));
            assert!(message.contains(expected), "{mistake:?} gives {message:?}");
        }
        assert!(message("").contains("there is no [[listen]]"));
        assert!(
            message(&GOOD.replace("imap.example.net:993", "imap.example.net"))
                .contains(":7: upstream.address: invalid value")
        );
        assert!(message(&GOOD.replace("always", "tls-only")).contains("nobody could log in there"));
    }

    #[test]
    fn a_file_that_is_not_there() {
        let error = load(Path::new("/nonexistent/lastpop.toml")).expect_err("no file").to_string();
        assert!(error.starts_with("/nonexistent/lastpop.toml: cannot be read: "), "{error}");
    }

    #[test]
    #[allow(clippy::result_large_err, reason = "the closure's type is figment's")]
    fn the_environment_overrides_the_file_and_its_mistakes_name_the_variable() {
        figment::Jail::expect_with(|jail| {
            let more = "[domains.\"Example.net\"]\nrefusals.imap-only.en = \"Use IMAP.\"\n[[policy.brownout]]\n\
                days = \"daily\"\nfrom = \"22:00\"\nto = \"02:00\"\n";
            jail.create_file("lastpop.toml", &format!("{GOOD}{more}"))?;
            let load = || load(Path::new("lastpop.toml"));
            jail.set_env("LASTPOP_UPSTREAM__ADDRESS", "other.example.net:143");
            jail.set_env("LASTPOP_LIMITS__CONNECTIONS_PER_ADDRESS", "off");
            jail.set_env("LASTPOP_CONFIG", "lastpop.toml");
            jail.set_env("LASTPOP_POLICY__TIME_ZONE", "Europe/Riga");
            let policy = load().expect("good").policy;
            assert_eq!((policy.time_zone.iana_name(), policy.brownout.len()), (Some("Europe/Riga"), 1));
            assert!(load().expect("good").domains.get("example.net").is_some());
            jail.set_env("LASTPOP_TOKEN", "lp_x");
            assert_eq!(load().expect("good").upstream.address[0].port, 143);
            jail.set_env("LASTPOP_LIMITS__SESIONS", "5");
            let unknown = load().expect_err("unknown").to_string();
            assert!(unknown.starts_with("environment variable LASTPOP_LIMITS__SESIONS: "), "{unknown}");
            Ok(())
        });
        figment::Jail::expect_with(|jail| {
            jail.create_file("lastpop.toml", GOOD)?;
            jail.set_env("LASTPOP_LIMITS__IDLE_TIMEOUT", "20");
            let wrong = load(Path::new("lastpop.toml")).expect_err("no unit").to_string();
            assert!(wrong.starts_with("environment variable LASTPOP_LIMITS__IDLE_TIMEOUT: "), "{wrong}");
            assert!(wrong.contains("expected a duration with a unit"), "{wrong}");
            Ok(())
        });
    }
}
