//! A notice as an administrator writes it: can it be used, and if not, what is wrong in which line?

use memchr::memchr_iter;

use super::header::{Address, Value, fields};
use super::placeholder::{Placeholder, Text};
use super::problem::{MAX_PLACEHOLDERS, MAX_TEMPLATE, Problem, TemplateError};

/// A notice with places to fill in.
///
/// ```text
/// # A comment; possible up to the end of the header.
/// From: Mail service <help@{sender_domain}>
/// Subject: Please switch {user} to IMAP
///
/// The text, for programs that show no HTML.
///
/// <html>
/// <p>The same with HTML.</p>
/// </html>
/// ```
///
/// The file is plain UTF-8. The first empty line ends the header, the line that begins with `<html` or
/// `<!doctype html` ends the text, and `</html>` ends the file. There is nothing to encode and no boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub(super) source: String,
    pub(super) from: Address,
    pub(super) reply_to: Option<Address>,
    pub(super) subject: Text,
    /// Other fields, in order.
    pub(super) more: Vec<(String, Text)>,
    pub(super) text: Text,
    pub(super) html: Text,
}

/// A line with its number, from 1.
pub(super) type Line<'a> = (usize, &'a str);

impl Template {
    /// Reads a template from the octets of a file.
    pub fn parse(file: &[u8]) -> Result<Self, TemplateError> {
        let text = readable(file)?;
        let lines: Vec<Line<'_>> = (1..).zip(text.lines()).collect();
        let (header, body) = lines.split_at(lines.iter().position(is_blank).unwrap_or(lines.len()));
        let (text, html) = body.split_at(body.iter().position(is_html).unwrap_or(body.len()));
        let last = lines.len().max(1);

        let mut left = MAX_PLACEHOLDERS;
        let (mut from, mut reply_to, mut subject, mut more) = (None, None, None, Vec::new());
        for (name, value) in fields(header, &mut left)? {
            match (name.as_str(), value) {
                ("From", Value::Address(address)) => from = Some(address),
                (_, Value::Address(address)) => reply_to = Some(address),
                ("Subject", Value::Text(text)) => subject = Some(text),
                (_, Value::Text(text)) => more.push((name, text)),
            }
        }
        let end = (header.len() + 1).min(last);
        let from = from.ok_or(Problem::Missing("From").at(end))?;
        let subject = subject.ok_or(Problem::Missing("Subject").at(end))?;

        if html.is_empty() {
            return Err(Problem::NoHtml.at(last));
        }
        let end = html.iter().rev().find(|line| !is_blank(line)).map_or("", |(_, line)| line.trim_end());
        if !end.to_ascii_lowercase().ends_with("</html>") {
            return Err(Problem::Incomplete.at(last));
        }
        let text_ends = last - html.len();
        let text = part(text, &mut left)?.ok_or(Problem::NoText.at(text_ends))?;
        let html = part(html, &mut left)?.ok_or(Problem::NoHtml.at(last))?;
        let source = readable(file)?.to_owned();
        Ok(Self { source, from, reply_to, subject, more, text, html })
    }

    /// The file that it was read from; reading that again gives the same template.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The placeholders that are used, each once and in the order of [`Placeholder`].
    pub fn placeholders(&self) -> Vec<Placeholder> {
        let addresses = [Some(&self.from), self.reply_to.as_ref()].into_iter().flatten();
        let texts = [&self.subject, &self.text, &self.html].into_iter();
        let texts = texts.chain(self.more.iter().map(|(_, text)| text));
        let mut all: Vec<_> = addresses.flat_map(Address::placeholders).collect();
        all.extend(texts.flat_map(Text::placeholders));
        all.sort_unstable();
        all.dedup();
        all
    }
}

fn is_blank((_, line): &Line<'_>) -> bool {
    line.trim().is_empty()
}

fn is_html((_, line): &Line<'_>) -> bool {
    let line = line.trim_start().to_ascii_lowercase();
    line.starts_with("<html") || line.starts_with("<!doctype html")
}

/// The file as text, if it is text.
fn readable(file: &[u8]) -> Result<&str, TemplateError> {
    let line_of = |at: usize| 1 + memchr_iter(b'\n', &file[..at]).count();
    if file.len() > MAX_TEMPLATE {
        return Err(Problem::TooLong.at(line_of(MAX_TEMPLATE)));
    }
    let text =
        std::str::from_utf8(file).map_err(|error| Problem::NotUtf8.at(line_of(error.valid_up_to())))?;
    // Some editors begin a file with a mark that it is UTF-8.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in (1..).zip(text.lines()) {
        if line.chars().any(|character| character.is_control() && character != '\t') {
            return Err(Problem::Control.at(number));
        }
    }
    Ok(text)
}

/// The lines as a text, without the blank ones around it; none if there are no others.
fn part(lines: &[Line<'_>], left: &mut usize) -> Result<Option<Text>, TemplateError> {
    let first = lines.iter().position(|line| !is_blank(line));
    let last = lines.iter().rposition(|line| !is_blank(line));
    let Some((first, last)) = first.zip(last) else { return Ok(None) };
    let mut text = Text::default();
    for (number, line) in &lines[first..=last] {
        text.push(line, left).map_err(|problem| problem.at(*number))?;
        text.push_plain("\n");
    }
    Ok(Some(text))
}
