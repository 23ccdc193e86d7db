//! `lastpop wave create`: who is in a wave, and which steps it has, as words on the command line.

use std::path::PathBuf;

use clap::builder::NonEmptyStringValueParser;
use hyper::Method;

use super::client::Call;
use super::failure::Failure;
use super::options::{Options, Why};
use super::output::note;
use super::{bulk, change, stream, wave, when};
use crate::api::{CreateWave, Days, Percent, Step, Steps, Target, Wave, WaveName, WaveUsers};

/// A wave that is to be made.
#[derive(Debug, clap::Args)]
pub(super) struct NewWave {
    /// Its name: small letters, digits, -, _ and . (not at the beginning).
    name: WaveName,
    #[command(flatten)]
    members: Members,
    /// With --domain: only so many percent of its users, always the same ones; more percent contain them.
    #[arg(long, requires = "domain", value_parser = percent)]
    percent: Option<Percent>,
    /// A step, as a date and a mode: '2026-12-01 10:00 Europe/Riga notice', or '2026-12-01 notice' for
    /// midnight in UTC. May be given several times, in the order of time.
    #[arg(long = "step", required = true, value_name = "DATE MODE", value_parser = step)]
    steps: Vec<Step>,
    #[command(flatten)]
    why: Why,
}

/// Who is in it: one of the three.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Members {
    /// The users of a file with a column user; - for standard input.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// The known users of a domain; '*' for all known users.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    domain: Option<String>,
    /// The known users for whom all of this holds when the wave starts: not-seen-for=DAYS, seen-within=DAYS,
    /// family=NAME, domain=NAME, mode=MODE. Several times, or with commas.
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',', value_parser = condition)]
    query: Vec<(Condition, String)>,
}

/// What can be asked of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    NotSeenFor,
    SeenWithin,
    Family,
    Domain,
    Mode,
}

fn condition(text: &str) -> Result<(Condition, String), String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let condition = match name {
        "not-seen-for" => Condition::NotSeenFor,
        "seen-within" => Condition::SeenWithin,
        "family" => Condition::Family,
        "domain" => Condition::Domain,
        "mode" => Condition::Mode,
        _ => return Err("expected not-seen-for=, seen-within=, family=, domain= or mode=".to_owned()),
    };
    // Each value is tried here, so that a mistake is shown beside its argument.
    add(&mut WaveUsers::default(), condition, value)?;
    Ok((condition, value.to_owned()))
}

fn add(users: &mut WaveUsers, condition: Condition, value: &str) -> Result<(), String> {
    let once = |is_there: bool| if is_there { Err("it was given twice".to_owned()) } else { Ok(()) };
    let name = || if value.is_empty() { Err("a value is missing".to_owned()) } else { Ok(value.to_owned()) };
    let days = || -> Result<Days, String> {
        let number: u16 =
            value.strip_suffix('d').unwrap_or(value).parse().map_err(|_| "expected a number of days")?;
        Days::try_from(number).map_err(|error| error.to_string())
    };
    match condition {
        Condition::NotSeenFor => {
            once(users.not_seen_for.is_some())?;
            users.not_seen_for = Some(days()?);
        }
        Condition::SeenWithin => {
            once(users.seen_within.is_some())?;
            users.seen_within = Some(days()?);
        }
        Condition::Family => {
            once(users.family.is_some())?;
            users.family = Some(name()?);
        }
        Condition::Domain => {
            once(users.domain.is_some())?;
            users.domain = Some(name()?);
        }
        Condition::Mode => {
            once(users.mode.is_some())?;
            users.mode = Some(value.parse().map_err(|error| format!("{error}"))?);
        }
    }
    Ok(())
}

fn percent(text: &str) -> Result<Percent, String> {
    let number: u8 = text.trim_end_matches('%').parse().map_err(|_| "expected a number from 1 to 100")?;
    Percent::try_from(number).map_err(|error| error.to_string())
}

/// A date and, behind the last blank, a mode.
fn step(text: &str) -> Result<Step, String> {
    let words = text.trim().rsplit_once(char::is_whitespace);
    let (date, mode) = words.ok_or("expected a date and a mode, such as '2026-12-01 notice'")?;
    let mode = mode.parse().map_err(|error| format!("{error}; it stands behind the date"))?;
    Ok(Step { at: when::moment(date)?, mode })
}

impl NewWave {
    fn target(&self) -> Result<Target, String> {
        let Members { csv, domain, query } = &self.members;
        if csv.is_some() {
            return Ok(Target::Csv);
        }
        if let Some(domain) = domain.clone() {
            return Ok(match self.percent {
                Some(percent) => Target::Share { domain, percent },
                None => Target::Domain(domain),
            });
        }
        let mut users = WaveUsers::default();
        for (condition, value) in query {
            add(&mut users, *condition, value).map_err(|error| format!("--query {value}: {error}"))?;
        }
        Ok(Target::Query(users))
    }

    /// Makes the wave, and sends its members if they are in a file.
    pub(super) async fn create(&self, options: &Options) -> Result<(), Failure> {
        let steps = Steps::try_from(self.steps.clone())
            .map_err(|error| Failure::Usage(format!("--step: {error}")))?;
        let wave = CreateWave {
            name: self.name.clone(),
            target: self.target().map_err(Failure::Usage)?,
            steps,
            reason: self.why.reason.clone(),
            dry_run: self.why.dry_run,
        };
        let call = Call::new(Method::POST, &["waves"]);
        if let Some(file) = &self.members.csv {
            // A wave without members is of no use to anybody.
            stream::can_be_read(file).await?;
        }
        let made: Wave = options.client()?.tell(&call, &wave).await?;
        let name = self.name.as_str();
        if self.why.dry_run {
            wave::print(options, &made)?;
            change::unchanged();
            return Ok(());
        }
        if let Some(file) = &self.members.csv {
            bulk::members(options, name, file, &self.why).await.inspect_err(|_| {
                note(&format!(
                    "the wave {name} is made, but not all of its members are in it: send them again with \
                     `lastpop wave members {name} FILE --reason TEXT`, or delete it with `lastpop wave delete {name} \
                     --reason TEXT`"
                ));
            })?;
        } else {
            wave::print(options, &made)?;
        }
        note(&format!(
            "see what it would do with `lastpop wave preview {name}`, then `lastpop wave start {name} --reason TEXT`"
        ));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Mode;

    #[test]
    fn steps() {
        for (text, at, mode) in [
            ("2026-12-01 notice", "2026-12-01T00:00:00Z", Mode::Notice),
            ("2026-12-01 10:00 Europe/Riga imap-only", "2026-12-01T08:00:00Z", Mode::ImapOnly),
            (" 2026-12-01T10:00:00Z\tbrownout ", "2026-12-01T10:00:00Z", Mode::Brownout),
        ] {
            let step = step(text).expect(text);
            assert_eq!((step.at.to_string().as_str(), step.mode), (at, mode));
        }
        for (text, said) in [
            ("notice", "expected a date and a mode"),
            ("2026-12-01", "expected a date and a mode"),
            ("2026-12-01 imap", "behind the date"),
            ("2026-12-01 10:00 notice", "add a time zone"),
            ("soon notice", "expected a moment"),
        ] {
            let error = step(text).expect_err(text);
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn conditions() {
        let mut users = WaveUsers::default();
        for text in
            ["not-seen-for=30d", "mode=pop3", "family=outlook", "domain=example.net", "seen-within=90"]
        {
            let (condition, value) = condition(text).expect(text);
            add(&mut users, condition, &value).expect(text);
            assert!(add(&mut users, condition, &value).is_err(), "{text} twice");
        }
        assert_eq!(users.not_seen_for.map(Days::get), Some(30));
        assert_eq!(users.seen_within.map(Days::get), Some(90));
        for text in
            ["", "x=1", "not-seen-for=", "not-seen-for=0", "not-seen-for=x", "mode=imap", "family", "domain="]
        {
            assert!(condition(text).is_err(), "{text}");
        }
        assert_eq!(percent("10%").map(Percent::get), Ok(10));
        assert!(percent("0").is_err() && percent("101").is_err() && percent("x").is_err());
    }
}
