//! What a transcript does beside the dialogue: it moves lastpop's clock, and changes the state as an administrator
//! does. The format is told in [`super`].

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use lastpop::policy::Setting;
use lastpop::store::Subject;
use lastpop::users::UserName;

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    /// The clock shows this moment, and stands still.
    Time(Timestamp),
    /// A rule is set; since when is for the clock to say.
    Set(Subject, Setting),
    /// The newest change of a rule is taken back.
    Undo(Subject),
    /// Hidden mail from this moment on (Unix seconds; 0: all) is to be shown again at the next login.
    Unhide(UserName, i64),
    /// A user's language.
    Language(UserName, String),
}

/// `None` when it is no deed; an error when it is one that is not understood.
pub(super) fn deed(directive: &str) -> Option<Result<Deed, String>> {
    let words: Vec<&str> = directive.split(' ').collect();
    let user = |name: &str| UserName::stored(name);
    Some(match words[..] {
        ["time", ref moment @ ..] => time(moment).map(Deed::Time),
        ["set", ref rule @ .., setting] => subject(rule).and_then(|subject| {
            let setting = Setting::parse(setting, 0).map_err(|error| error.to_string())?;
            Ok(Deed::Set(subject, setting))
        }),
        ["undo", ref rule @ ..] => subject(rule).map(Deed::Undo),
        ["unhide", name] => Ok(Deed::Unhide(user(name), 0)),
        ["unhide", name, "since", date] => midnight(date).map(|since| Deed::Unhide(user(name), since)),
        ["language", name, language] => Ok(Deed::Language(user(name), language.to_owned())),
        _ => return None,
    })
}

/// `2026-12-01 09:30 Europe/Riga`, or `2026-10-25T03:30+02` for a time that a clock shows twice.
fn time(words: &[&str]) -> Result<Timestamp, String> {
    let moment = match words {
        [date, time, zone] => {
            let local: DateTime = format!("{date}T{time}").parse().map_err(|_| "not a date and a time")?;
            TimeZone::get(zone).and_then(|zone| zone.to_timestamp(local))
        }
        [moment] => moment.parse(),
        _ => return Err("write a date, a time and a time zone".to_owned()),
    };
    moment.map_err(|error| error.to_string())
}

/// In UTC.
fn midnight(date: &str) -> Result<i64, String> {
    let midnight = date.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
    midnight.map(|at| at.timestamp().as_second()).map_err(|error| error.to_string())
}

fn subject(words: &[&str]) -> Result<Subject, String> {
    match words {
        ["user", name] => Ok(Subject::User(UserName::stored(name))),
        ["domain", name] => Ok(Subject::Domain((*name).to_owned())),
        ["everyone"] => Ok(Subject::Everyone),
        _ => Err("whose rule? write user NAME, domain NAME or everyone".to_owned()),
    }
}

#[test]
fn deeds_are_read() {
    let is = |directive: &str, expected: Deed| assert_eq!(deed(directive), Some(Ok(expected)), "{directive}");
    let moment = |text: &str| text.parse().unwrap();
    let anna = || UserName::stored("anna@example.net");
    is("time 2026-12-01 09:30 Europe/Riga", Deed::Time(moment("2026-12-01T07:30Z")));
    is("time 2026-10-25 03:30:15 Europe/Riga", Deed::Time(moment("2026-10-25T00:30:15Z")));
    is("time 2026-10-25T03:30+02", Deed::Time(moment("2026-10-25T01:30Z")));
    let planned = Setting::parse("notice>-@2026-12-01T00:00:00Z", 0).unwrap();
    is("set user anna@example.net notice>-@2026-12-01T00:00:00Z", Deed::Set(Subject::User(anna()), planned));
    is("set everyone -", Deed::Set(Subject::Everyone, Setting::default()));
    is("undo domain example.net", Deed::Undo(Subject::Domain("example.net".to_owned())));
    is("unhide anna@example.net", Deed::Unhide(anna(), 0));
    is("unhide anna@example.net since 1970-01-02", Deed::Unhide(anna(), 86_400));
    for wrong in [
        "time 9:30",
        "time 2026-12-01 09:30 Riga",
        "set user anna",
        "set anna notice",
        "undo",
        "unhide a since x",
    ] {
        assert!(matches!(deed(wrong), Some(Err(_))), "{wrong}");
    }
    assert_eq!(deed("config a.b = 1"), None);
}
