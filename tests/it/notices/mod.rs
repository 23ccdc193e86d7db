//! Notices as another implementation reads them: Python's email package finds nothing wrong, and finds what
//! the template and the facts say.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use lastpop::notice::{Campaign, Facts, Kind, Template, render};
use lastpop::words::DomainName;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

/// How many made-up users there are.
const RANDOM: usize = 200;

const URL: &str = "https://example.net/imap?a=1&b='2'";

/// Uses everything a template can have, in a header and a body that must be encoded.
const EVERYTHING: &str = "From: \"Pasts (SIA \u{201e}Pasts\u{201d}), {user}\" <help@{sender_domain}>\n\
    Reply-To: Palīdzība {campaign} <x.y@{domain}>\nOrganization: {domain}\nX-Note: {url}\n\
    Subject: {user}: ļoti garš temats, kas neietilpst vienā rindā, {campaign} un {url} un {domain}\n\n\
    {user}\n.\nFrom {domain}\n\nпочта {url}, {campaign}, {sender_domain}\n\n\
    <html>\n<a href=\"{url}\" title='{user}'>{domain}</a> = {campaign} {sender_domain}   \n</html>\n";

/// A message, and what a reader should find in it.
struct Case {
    template: String,
    user: String,
    kind: Kind,
}

impl Case {
    fn domain(&self) -> &str {
        self.user.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    fn render(&self) -> Vec<u8> {
        let template = Template::parse(self.template.as_bytes()).unwrap();
        let campaign = Campaign::parse("2026-11").unwrap();
        let sender_domain = DomainName::parse("isp.example");
        render(
            &template,
            &Facts {
                user: &self.user,
                domain: self.domain(),
                url: URL,
                campaign: &campaign,
                sender_domain: sender_domain.as_ref(),
                date: 1_793_525_400,
                kind: self.kind,
            },
        )
    }

    /// The template's text with its placeholders filled in by nothing but replacing.
    fn filled(&self, text: &str, value: impl Fn(&str) -> String) -> String {
        text.replace("{user}", &value(&self.user))
            .replace("{domain}", &value(self.domain()))
            .replace("{url}", &value(URL))
            .replace("{campaign}", "2026-11")
            .replace("{sender_domain}", "isp.example")
    }

    /// Text and HTML.
    fn parts(&self) -> [String; 2] {
        let (_, body) = self.template.split_once("\n\n").unwrap();
        let html = body.find("<!DOCTYPE").or_else(|| body.find("<html")).unwrap();
        let (text, html) = body.split_at(html);
        let part = |part: &str| format!("{}\n", part.trim_matches('\n'));
        [self.filled(&part(text), str::to_owned), self.filled(&part(html), escaped)]
    }

    /// A field of the header.
    fn field(&self, name: &str) -> String {
        let (head, _) = self.template.split_once("\n\n").unwrap();
        let value = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap();
        self.filled(value, str::to_owned)
    }
}

fn escaped(text: &str) -> String {
    let all = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;"), ('"', "&#34;"), ('\'', "&#39;")];
    all.into_iter().fold(text.to_owned(), |text, (character, entity)| text.replace(character, entity))
}

/// The templates that are shipped, for users of several kinds; and one that uses everything, for any user.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/notices");
    for (kind, name) in Kind::ALL.into_iter().flat_map(|kind| [(kind, "en"), (kind, "lv")]) {
        let file = folder.join(format!("{}.{name}.eml", kind.as_str()));
        let template = std::fs::read_to_string(file).unwrap();
        for user in ["anna@example.net", "anna", "jānis.bērziņš@pasts.lv", "o'<b>neil & \"co\"@x y"] {
            cases.push(Case { template: template.clone(), user: user.to_owned(), kind });
        }
    }
    let mut runner = TestRunner::deterministic();
    // Visible characters and blanks; what is done to others is tested beside the code.
    let users = proptest::string::string_regex("\\PC{1,20}(@\\PC{0,20})?").unwrap();
    for _ in 0..RANDOM {
        let user = users.new_tree(&mut runner).unwrap().current();
        cases.push(Case { template: EVERYTHING.to_owned(), user, kind: Kind::Notice });
    }
    cases
}

#[derive(serde::Deserialize)]
struct Read {
    defects: Vec<String>,
    names: Vec<String>,
    types: Vec<String>,
    subject: String,
    sender_name: String,
    sender: String,
    to: String,
    message_id: String,
    date: f64,
    auto_submitted: String,
    campaign: String,
    text: String,
    html: String,
}

fn read_by_python(messages: &[Vec<u8>]) -> HashMap<usize, Read> {
    let folder = tempfile::tempdir().unwrap();
    for (number, message) in messages.iter().enumerate() {
        std::fs::write(folder.path().join(number.to_string()), message).unwrap();
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/notices/read_messages.py");
    let output = Command::new("python3").arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn another_implementation_reads_what_was_written() {
    let cases = cases();
    let messages: Vec<Vec<u8>> = cases.iter().map(Case::render).collect();
    let read = read_by_python(&messages);
    assert_eq!(read.len(), cases.len());
    for (number, case) in cases.iter().enumerate() {
        let shown = format!("{:?}: {}", case.user, messages[number].escape_ascii());
        let read = &read[&number];
        assert_eq!(read.defects, Vec::<String>::new(), "{shown}");
        assert_eq!(read.types, ["multipart/alternative", "text/plain", "text/html"], "{shown}");
        let mut names = read.names.clone();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), read.names.len(), "a field is there twice: {shown}");

        // In a name, and only there, this package keeps the blanks between encoded words, against RFC 2047 §6.2.
        let bare = |text: &str| text.replace(' ', "");
        let from = case.field("From");
        let name = from.rsplit_once(" <").unwrap().0;
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        assert_eq!(bare(&read.sender_name), bare(name), "{shown}");
        assert!(["help@isp.example", "postmaster@isp.example"].contains(&read.sender.as_str()), "{shown}");
        assert_eq!(read.subject, case.field("Subject"), "{shown}");
        assert!(read.to == case.user || read.to.is_empty() && case.user != "anna@example.net", "{shown}");
        assert!(read.message_id.ends_with("@isp.example>"), "{shown}");
        assert_eq!(read.date.to_string(), "1793525400", "{shown}");
        assert_eq!((read.auto_submitted.as_str(), read.campaign.as_str()), ("auto-generated", "2026-11"));
        assert_eq!(
            [read.text.replace("\r\n", "\n"), read.html.replace("\r\n", "\n")],
            case.parts(),
            "{shown}"
        );
    }
}
