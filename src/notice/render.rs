//! The message itself: what RETR sends, made from a template and facts about a user.

use jiff::Timestamp;

use super::encode::{body, field, html, phrase_words, text_words};
use super::header::{Address, Domain};
use super::identity::message_id;
use super::placeholder::Placeholder;
use super::template::Template;
use super::words::{Campaign, Kind, is_local_part};
use crate::words::DomainName;

/// Largest message, in octets. At worst an octet of a template becomes 5.2 in its header, of which there are
/// 8 KiB at most, and 2.4 in a body, half of it accents and half of it ends of lines; an octet of a value
/// becomes 6.1, when it is a quote in HTML, and there are 48 values of `MAX_VALUE`. With what is the same in
/// every message that is 251 KiB.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// Longest text in a placeholder, in octets; what is longer is cut. Enough for every user name and URL.
const MAX_VALUE: usize = 256;

/// Where something was cut.
const CUT: char = '…';

/// The domain of a sender where nobody has one (RFC 2606 §2: it never exists).
const NOWHERE: &str = "lastpop.invalid";

/// Between the parts. It is in no body: in quoted-printable no `_` follows a `=`, and base64 has none.
const BOUNDARY: &str = "=_lastpop";

/// What a message says besides its template.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The user's canonical name.
    pub user: &'a str,
    /// The user's domain, or nothing.
    pub domain: &'a str,
    /// The page that tells how to switch.
    pub url: &'a str,
    /// The campaign.
    pub campaign: &'a Campaign,
    /// The domain that the message comes from; without it that is the user's.
    pub sender_domain: Option<&'a DomainName>,
    /// The date of the message, in Unix seconds.
    pub date: i64,
    /// Which message it is.
    pub kind: Kind,
}

/// The octets as RETR sends them, before dots are stuffed: ASCII, lines of at most 998 octets that end in
/// CRLF. The same template and facts give the same octets.
pub fn render(template: &Template, facts: &Facts<'_>) -> Vec<u8> {
    let values = Values::of(facts);
    let text = |place| values.get(place);
    let mut out = Vec::new();
    field("Date", &[date(facts.date)], &mut out);
    field("From", &values.address(&template.from), &mut out);
    if let Some(address) = &template.reply_to {
        field("Reply-To", &values.address(address), &mut out);
    }
    if is_address(facts.user) {
        field("To", &[facts.user.to_owned()], &mut out);
    }
    field("Subject", &text_words(&template.subject.filled(text)), &mut out);
    for (name, more) in &template.more {
        let words = text_words(&more.filled(text));
        // A user without a domain, for example.
        if !words.is_empty() {
            field(name, &words, &mut out);
        }
    }
    let message_id = message_id(facts.campaign, facts.kind, facts.user);
    field("Message-ID", &[format!("<{message_id}@{}>", values.get(Placeholder::SenderDomain))], &mut out);
    for (name, value) in [
        // RFC 3834 §5: nobody answers this with an automatic reply.
        ("Auto-Submitted", "auto-generated"),
        ("X-Lastpop-Notice", facts.campaign.as_str()),
        ("MIME-Version", "1.0"),
        ("Content-Type", &format!("multipart/alternative; boundary=\"{BOUNDARY}\"")),
    ] {
        field(name, &[value.to_owned()], &mut out);
    }
    let of_html = values.escaped();
    for (subtype, text) in
        [("plain", template.text.filled(text)), ("html", template.html.filled(|place| of_html.get(place)))]
    {
        out.extend_from_slice(format!("\r\n--{BOUNDARY}\r\n").as_bytes());
        field("Content-Type", &[format!("text/{subtype}; charset=utf-8")], &mut out);
        let (encoding, lines) = body(&text);
        field("Content-Transfer-Encoding", &[encoding.to_owned()], &mut out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&lines);
    }
    out.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    out
}

/// What is put in the place of each placeholder, in the order of [`Placeholder::ALL`].
struct Values([String; Placeholder::ALL.len()]);

impl Values {
    fn of(facts: &Facts<'_>) -> Self {
        let of_user = DomainName::parse(facts.domain);
        let sender = facts.sender_domain.or(of_user.as_ref()).map_or(NOWHERE, DomainName::as_str);
        let value = |place| match place {
            Placeholder::User => facts.user,
            Placeholder::Domain => facts.domain,
            Placeholder::Url => facts.url,
            Placeholder::Campaign => facts.campaign.as_str(),
            Placeholder::SenderDomain => sender,
        };
        Self(Placeholder::ALL.map(|place| line(value(place))))
    }

    fn escaped(&self) -> Self {
        Self(self.0.each_ref().map(|value| html(value)))
    }

    fn get(&self, place: Placeholder) -> &str {
        &self.0[place as usize]
    }

    /// A user's domain that cannot stand in an address gives way to the sender's.
    fn address(&self, address: &Address) -> Vec<String> {
        let of_sender = self.get(Placeholder::SenderDomain);
        let of_user = self.get(Placeholder::Domain);
        let domain = match &address.domain {
            Domain::This(domain) => domain.as_str(),
            Domain::OfUser if DomainName::parse(of_user).is_some() => of_user,
            Domain::OfUser | Domain::OfSender => of_sender,
        };
        let mut words = phrase_words(&address.name.filled(|place| self.get(place)));
        words.push(format!("<{}@{domain}>", address.local_part));
        words
    }
}

/// A value as one line of bounded length: what would break a line is replaced.
fn line(value: &str) -> String {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    let mut line: String = value
        .chars()
        .take(MAX_VALUE + 1)
        .map(|character| if breaks(character) { char::REPLACEMENT_CHARACTER } else { character })
        .collect();
    if line.len() > MAX_VALUE {
        line.truncate(line.floor_char_boundary(MAX_VALUE - CUT.len_utf8()));
        line.push(CUT);
    }
    line
}

/// Can a message be addressed to this user name as it is?
fn is_address(user: &str) -> bool {
    user.split_once('@')
        .is_some_and(|(local_part, domain)| is_local_part(local_part) && DomainName::parse(domain).is_some())
}

/// RFC 5322 §3.3, in UTC. What lies outside of the calendar becomes its beginning.
fn date(seconds: i64) -> String {
    let at = Timestamp::from_second(seconds.max(0)).unwrap_or(Timestamp::UNIX_EPOCH);
    at.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}
