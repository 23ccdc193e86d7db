//! The header of a template: which fields may stand there, and what is in them.

use super::placeholder::{Placeholder, Text};
use super::problem::{MAX_FIELD, MAX_FIELDS, Problem, TemplateError};
use super::template::Line;
use super::words::is_local_part;
use crate::words::DomainName;

/// Longest name of a field, in octets; more than any name in use has.
const MAX_NAME: usize = 60;

/// Fields with an address in them.
const ADDRESSES: [&str; 2] = ["From", "Reply-To"];

/// Fields with text in them; those that begin with `X-` are further ones.
const TEXTS: [&str; 2] = ["Subject", "Organization"];

/// Fields that every notice has, with values that are not the administrator's to give.
pub(super) const OURS: [&str; 8] = [
    "To",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Auto-Submitted",
    "X-Lastpop-Notice",
];

/// What is in a field.
pub(super) enum Value {
    Address(Address),
    Text(Text),
}

/// One address, with a name or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) name: Text,
    pub(super) local_part: String,
    pub(super) domain: Domain,
}

/// What stands behind the `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Domain {
    This(DomainName),
    OfUser,
    OfSender,
}

/// The fields of a header, each name once, with as many placeholders as are `left`. Lines that begin with `#`
/// are comments.
pub(super) fn fields(lines: &[Line<'_>], left: &mut usize) -> Result<Vec<(String, Value)>, TemplateError> {
    let mut fields: Vec<(String, Value)> = Vec::new();
    for (number, name, value) in unfolded(lines)? {
        let (name, value) = field(name, &value, left).map_err(|problem| problem.at(number))?;
        if fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
            return Err(Problem::Twice(name).at(number));
        }
        if fields.len() == MAX_FIELDS {
            return Err(Problem::ManyFields.at(number));
        }
        fields.push((name, value));
    }
    Ok(fields)
}

/// Line, name and value of each field. A line that begins with a blank continues the one above.
fn unfolded<'a>(lines: &[Line<'a>]) -> Result<Vec<(usize, &'a str, String)>, TemplateError> {
    let mut fields: Vec<(usize, &str, String)> = Vec::new();
    for (number, line) in lines.iter().filter(|(_, line)| !line.starts_with('#')) {
        let more = line.starts_with([' ', '\t']);
        match (fields.last_mut(), line.split_once(':')) {
            (Some((_, _, value)), _) if more => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (_, Some((name, value))) if !more && is_name(name) => {
                fields.push((*number, name, value.trim().to_owned()));
            }
            _ => return Err(Problem::NotAField.at(*number)),
        }
    }
    Ok(fields)
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|octet| octet.is_ascii_graphic())
}

/// The field with its name as it is usually written.
fn field(name: &str, value: &str, left: &mut usize) -> Result<(String, Value), Problem> {
    let known = |names: &[&'static str]| names.iter().copied().find(|known| known.eq_ignore_ascii_case(name));
    if let Some(name) = known(&OURS) {
        return Err(Problem::OurField(name.to_owned()));
    }
    let address = known(&ADDRESSES);
    let is_text = known(&TEXTS).is_some() || name.len() > 2 && name[..2].eq_ignore_ascii_case("X-");
    let name = address.or(known(&TEXTS)).unwrap_or(name).to_owned();
    if value.is_empty() {
        return Err(Problem::EmptyField(name));
    }
    if value.len() > MAX_FIELD {
        return Err(Problem::LongField(name));
    }
    if address.is_some() {
        Ok((name, Value::Address(Address::parse(value, left)?)))
    } else if is_text {
        Ok((name, Value::Text(text(value, left)?)))
    } else {
        Err(Problem::UnknownField(name))
    }
}

/// The blanks between words become one each, so that folding cannot change them.
fn text(value: &str, left: &mut usize) -> Result<Text, Problem> {
    let mut text = Text::default();
    text.push(&value.split_whitespace().collect::<Vec<_>>().join(" "), left)?;
    Ok(text)
}

impl Address {
    /// `local@domain`, or `Name <local@domain>`; the name may stand in quotes.
    fn parse(value: &str, left: &mut usize) -> Result<Self, Problem> {
        let (name, address) = match value.strip_suffix('>') {
            Some(rest) => rest.rsplit_once('<').ok_or_else(|| Problem::NotAnAddress(value.to_owned()))?,
            None => ("", value),
        };
        let name = name.trim();
        let bare = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        let (local_part, domain) = address
            .split_once('@')
            .and_then(|(local_part, domain)| Some((local_part, Domain::parse(domain)?)))
            .filter(|(local_part, _)| is_local_part(local_part) && !local_part.contains(['{', '}']))
            .ok_or_else(|| Problem::NotAnAddress(value.to_owned()))?;
        Ok(Self { name: text(bare, left)?, local_part: local_part.to_owned(), domain })
    }

    /// The placeholders in name and domain.
    pub(super) fn placeholders(&self) -> impl Iterator<Item = Placeholder> {
        let of_domain = match self.domain {
            Domain::This(_) => None,
            Domain::OfUser => Some(Placeholder::Domain),
            Domain::OfSender => Some(Placeholder::SenderDomain),
        };
        self.name.placeholders().chain(of_domain)
    }
}

impl Domain {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "{domain}" => Some(Self::OfUser),
            "{sender_domain}" => Some(Self::OfSender),
            _ => DomainName::parse(text).map(Self::This),
        }
    }
}
