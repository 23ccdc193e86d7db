//! Whole templates and whole messages: what is refused and why, what is sent, and that a reader gets back
//! what was put in.

pub(super) mod decode;

use proptest::prelude::*;

use super::header::OURS;
use super::problem::{MAX_FIELDS, MAX_PLACEHOLDERS};
use super::template::Template;
use super::*;
use crate::words::{DomainName, Language};

const HEADER: &str = "From: a@example.net\nSubject: s\n";
const PARTS: &str = "\ntext\n\n<html></html>\n";

fn parsed(file: &str) -> Template {
    Template::parse(file.as_bytes()).unwrap_or_else(|error| panic!("{error} in {file}"))
}

#[test]
fn mistakes_name_the_line_and_what_to_do() {
    use Problem as P;
    let html = "\ntext\n<html>\n";
    let with = |field: &str| format!("{HEADER}{field}\n{PARTS}");
    let name = |name: &str| name.to_owned();
    for (file, line, problem) in [
        (String::new(), 1, P::Missing("From")),
        ("From: a@b.lv".to_owned(), 1, P::Missing("Subject")),
        (format!("Subject: s\n{PARTS}"), 2, P::Missing("From")),
        (format!("\n{HEADER}{PARTS}"), 1, P::Missing("From")),
        (format!("{HEADER}Hello!\n{PARTS}"), 3, P::NotAField),
        (format!(" {HEADER}{PARTS}"), 1, P::NotAField),
        (with("Bad name: x"), 3, P::NotAField),
        (with("# fine\n: x"), 4, P::NotAField),
        (with(": x"), 3, P::NotAField),
        (with("Cc: a@b.lv"), 3, P::UnknownField(name("Cc"))),
        (with("X-: a"), 3, P::UnknownField(name("X-"))),
        (with("message-id: <a@b>"), 3, P::OurField(name("Message-ID"))),
        (with("x-lastpop-notice: 7"), 3, P::OurField(name("X-Lastpop-Notice"))),
        (with("SUBJECT: again"), 3, P::Twice(name("Subject"))),
        (with("X-A: 1\nx-a: 2"), 4, P::Twice(name("x-a"))),
        (with("Reply-To:"), 3, P::EmptyField(name("Reply-To"))),
        (with(&format!("X-Long: {}", "x".repeat(999))), 3, P::LongField(name("X-Long"))),
        (with("Reply-To: a"), 3, P::NotAnAddress(name("a"))),
        (with("Reply-To: a@b, c@d"), 3, P::NotAnAddress(name("a@b, c@d"))),
        (with("Reply-To: A a@b>"), 3, P::NotAnAddress(name("A a@b>"))),
        (with("Reply-To: <{user}@b.lv>"), 3, P::NotAnAddress(name("<{user}@b.lv>"))),
        (with("Reply-To: ā@b.lv"), 3, P::NotAnAddress(name("ā@b.lv"))),
        (with("X-A: {nane}"), 3, P::UnknownPlaceholder(name("nane"))),
        (format!("{HEADER}{html}\n{{ user }}\n</html>"), 7, P::UnknownPlaceholder(name(" user "))),
        (format!("{HEADER}\n{}<html></html>", "{user}\n".repeat(49)), 52, P::ManyPlaceholders),
        (format!("{HEADER}\n\n<html></html>\n"), 4, P::NoText),
        (format!("{HEADER}\ntext\n"), 4, P::NoHtml),
        (format!("{HEADER}{html}"), 5, P::Incomplete),
        (format!("{HEADER}{html}</html>\nand more\n"), 7, P::Incomplete),
        (format!("{HEADER}\na\rb\n"), 4, P::Control),
        (format!("{HEADER}\na\n\0"), 5, P::Control),
        (with("X-A: 1\nX-B: 2\nX-C: 3\nX-D: 4\nX-E: 5\nX-F: 6\nX-G: 7"), 9, P::ManyFields),
        (format!("{HEADER}\n{}", "text\n".repeat(13_200)), 13_104, P::TooLong),
    ] {
        let error = Template::parse(file.as_bytes()).expect_err(&file);
        assert_eq!((error.line, error.problem), (line, problem), "{file:.200}");
    }
    let error = Template::parse(b"From: a@b.lv\nSubject: P\xe2rsl\xe7dziet\n").expect_err("Latin-1");
    assert_eq!(error.to_string(), "line 2: this is not UTF-8; save the file in that encoding");
}

#[test]
fn what_editors_do_to_a_file_changes_nothing() {
    let plain = format!("{HEADER}{PARTS}");
    for file in [
        plain.replace('\n', "\r\n"),
        format!("\u{feff}{plain}"),
        plain.trim_end().to_owned(),
        format!("{plain}\n\n  \n"),
        format!("# a comment\n{plain}"),
        plain.replace("Subject: s", "subject:\n s"),
        plain.replacen("\n\n", "\n \t\n\n", 1),
    ] {
        let meaning = |file: &str| Template { source: String::new(), ..parsed(file) };
        assert_eq!(meaning(&file), meaning(&plain), "{file:?}");
        assert_eq!(parsed(parsed(&file).source()), parsed(&file));
    }
}

fn facts<'a>(user: &'a str, domain: &'a str, campaign: &'a Campaign) -> Facts<'a> {
    let url = "https://example.net/imap?a&b";
    Facts { user, domain, url, campaign, sender_domain: None, date: 1_793_525_400, kind: Kind::Notice }
}

/// All octets, once: a change here is seen by every customer who keeps the notice.
#[test]
fn a_message_octet_for_octet() {
    let template = parsed(
        "From: \"Pasts, SIA\" <help@{sender_domain}>\nReply-To: x@{domain}\nSubject: Labdien, {user}: tik garš \
        temats, ka tas neietilpst vienā rindā\nX-Priority: 1\n\n.\n{user} = {campaign} \n\n<html>\n<a href=\"{url}\">\n</html>\n",
    );
    let campaign = Campaign::parse("2026-11").expect("a campaign");
    let sender = DomainName::parse("isp.example");
    let facts =
        Facts { sender_domain: sender.as_ref(), ..facts("ann@example.net", "example.net", &campaign) };
    let expected = "Date: Sun, 01 Nov 2026 09:30:00 +0000
From: =?utf-8?q?Pasts=2C_SIA?= <help@isp.example>
Reply-To: <x@example.net>
To: ann@example.net
Subject: =?utf-8?q?Labdien=2C_ann=40example=2Enet=3A_tik_gar=C5=A1_?=
 =?utf-8?q?temats=2C_ka_tas_neietilpst_vien=C4=81_rind?= =?utf-8?q?=C4=81?=
X-Priority: 1
Message-ID: <notice.09a9801d3601128336ba0b77037c94e22c4419a3@isp.example>
Auto-Submitted: auto-generated
X-Lastpop-Notice: 2026-11
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary=\"=_lastpop\"

--=_lastpop
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

.
ann@example.net =3D 2026-11=20

--=_lastpop
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<html>
<a href=3D\"https://example.net/imap?a&amp;b\">
</html>

--=_lastpop--
";
    let message = render(&template, &facts);
    assert_eq!(String::from_utf8(message.clone()).expect("ASCII"), expected.replace('\n', "\r\n"));
    assert_eq!(render(&template, &facts), message);
}

#[test]
fn addresses_are_only_what_can_be_one() {
    let template = parsed(&format!("From: {{domain}} <a@{{domain}}>\nSubject: {{sender_domain}}\n{PARTS}"));
    let campaign = Campaign::default();
    let sender = DomainName::parse("isp.example");
    for (user, domain, sender, from, to, of_sender) in [
        ("ann@x.lv", "x.lv", None, "x.lv <a@x.lv>", Some("ann@x.lv"), "x.lv"),
        ("ann@x.lv", "x.lv", sender.as_ref(), "x.lv <a@x.lv>", Some("ann@x.lv"), "isp.example"),
        ("ann", "", sender.as_ref(), "<a@isp.example>", None, "isp.example"),
        ("ann", "", None, "<a@lastpop.invalid>", None, "lastpop.invalid"),
        ("ann@ēģ.lv", "ēģ.lv", sender.as_ref(), "ēģ.lv <a@isp.example>", None, "isp.example"),
        ("a nn@x.lv", "x.lv", None, "x.lv <a@x.lv>", None, "x.lv"),
        (
            "a@b>\r\nBcc: c@x",
            "b>\r\nBcc: c@x",
            None,
            "b>\u{fffd}\u{fffd}Bcc: c@x <a@lastpop.invalid>",
            None,
            "lastpop.invalid",
        ),
    ] {
        let facts = Facts { sender_domain: sender, ..facts(user, domain, &campaign) };
        let message = decode::Message::read(&render(&template, &facts));
        assert_eq!(message.field("From"), Some(from.to_owned()));
        assert_eq!(message.field("To").as_deref(), to);
        assert_eq!(message.field("Subject").as_deref(), Some(of_sender));
        assert!(message.field("Message-ID").is_some_and(|id| id.ends_with(&format!("@{of_sender}>"))));
        assert_eq!(message.field("Bcc"), None);
    }
}

#[test]
fn dates_outside_of_the_calendar() {
    let campaign = Campaign::default();
    for (date, expected) in [
        (i64::MIN, "Thu, 01 Jan 1970 00:00:00 +0000"),
        (0, "Thu, 01 Jan 1970 00:00:00 +0000"),
        (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
        (i64::MAX, "Thu, 01 Jan 1970 00:00:00 +0000"),
    ] {
        let facts = Facts { date, ..facts("a", "", &campaign) };
        let message = decode::Message::read(&render(&parsed(&format!("{HEADER}{PARTS}")), &facts));
        assert_eq!(message.field("Date").as_deref(), Some(expected));
    }
}

#[test]
fn the_largest_message_is_within_its_bound() {
    let field = |number| format!("X-{number}: {}", "ā".repeat(495));
    let fields = (0..MAX_FIELDS - 2).map(field).collect::<Vec<_>>().join("\n");
    let head = format!("From: {} <a@b>\nSubject: {}\n{fields}\n\n", "ā".repeat(480), "ā".repeat(495));
    let mut largest = 0;
    for filling in ["ā", "=", "x", "\n", "āā\n\n\n\n\n", " \n"] {
        let start = format!("{head}x\n<html>{}", "{user}".repeat(MAX_PLACEHOLDERS));
        let room = MAX_TEMPLATE - start.len() - "</html>".len();
        let template = parsed(&format!("{start}{}</html>", filling.repeat(room / filling.len())));
        for value in ["ā", "\"", "\u{1}", "=", "x"] {
            let user = value.repeat(300);
            let size = render(&template, &facts(&user, "", &Campaign::default())).len();
            assert!(size <= MAX_MESSAGE, "{size} with {filling:?} and {value:?}");
            largest = largest.max(size);
        }
    }
    assert!(largest > MAX_MESSAGE * 3 / 4, "{largest} is far from the bound");
}

#[test]
fn what_is_built_in_uses_the_same_placeholders_in_every_language() {
    let templates = Templates::built_in(Language::english());
    for kind in Kind::ALL {
        let [en, lv] =
            ["en", "lv"].map(|tag| templates.choose(kind, "", Language::parse(tag).as_ref(), None).template);
        assert_ne!(en, lv);
        assert_eq!(en.placeholders(), lv.placeholders());
        assert_eq!(en.placeholders(), [Placeholder::User, Placeholder::Url, Placeholder::SenderDomain]);
    }
}

/// Any characters, but not so many that they are cut.
fn value() -> impl Strategy<Value = String> {
    let any = prop_oneof![any::<char>(), proptest::char::range('\0', '~')];
    proptest::collection::vec(any, 0..64).prop_map(String::from_iter)
}

fn breaks_lines(character: char) -> bool {
    matches!(character, '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{2028}' | '\u{2029}')
}

proptest! {
    #[test]
    fn any_facts_make_a_message_that_says_them(user in value(), domain in value(), url in value(),
        campaign in "[A-Za-z0-9._-]{1,32}", date: i64) {
        let every = "{user} {domain} {url} {campaign} {sender_domain}";
        let template = parsed(&format!(
            "From: {every} <a@{{domain}}>\nReply-To: {every} <b@{{sender_domain}}>\nSubject: {every}\n\
            X-More: {every}\n\n{every}\n<html>{every}</html>"
        ));
        let campaign = Campaign::parse(&campaign).expect("a campaign");
        let facts = Facts { user: &user, domain: &domain, url: &url, date, ..facts("", "", &campaign) };
        let octets = render(&template, &facts);
        prop_assert!(octets.len() <= MAX_MESSAGE);
        let message = decode::Message::read(&octets);
        let sender = DomainName::parse(&domain).map_or("lastpop.invalid".to_owned(), |_| domain.clone());
        let said = |value: &str| value.replace(breaks_lines, "\u{fffd}");
        let all = format!("{} {} {} {} {sender}", said(&user), said(&domain), said(&url), campaign.as_str());
        prop_assert_eq!(message.field("Subject"), Some(all.clone()));
        prop_assert_eq!(message.field("X-More"), Some(all.clone()));
        prop_assert_eq!(message.field("From"), Some(format!("{all} <a@{sender}>")));
        prop_assert_eq!(message.field("Reply-To"), Some(format!("{all} <b@{sender}>")));
        prop_assert_eq!(message.field("X-Lastpop-Notice"), Some(campaign.as_str().to_owned()));
        for name in OURS.iter().filter(|name| !["To", "Content-Transfer-Encoding"].contains(name)) {
            prop_assert!(message.field(name).is_some(), "no {}", name);
        }
        prop_assert_eq!(&message.text, &format!("{all}\n"));
        prop_assert_eq!(&message.html, &format!("<html>{}</html>\n", encode::html(&all)));
    }

    #[test]
    fn no_file_makes_the_reader_fail(file in proptest::collection::vec(any::<u8>(), 0..300), at: proptest::sample::Index) {
        let _ = Template::parse(&file);
        let whole = include_bytes!("../../../config/notices/notice.lv.eml");
        let cut = at.index(whole.len());
        let mut mixed = whole[..cut].to_vec();
        mixed.extend(&file);
        mixed.extend(&whole[cut..]);
        let _ = Template::parse(&mixed);
    }
}
