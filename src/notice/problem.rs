//! Why a template cannot be used: the line, what is wrong there, and what to do.

/// Largest template, in octets. It is read by people.
pub const MAX_TEMPLATE: usize = 64 * 1024;

/// Most placeholders in one template. Each may become large; see [`super::MAX_MESSAGE`].
pub(super) const MAX_PLACEHOLDERS: usize = 48;

/// Most fields in a header, for the same reason.
pub(super) const MAX_FIELDS: usize = 8;

/// Longest field, in octets (RFC 5322 §2.1.1 for a line).
pub(super) const MAX_FIELD: usize = 998;

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TemplateError {
    /// From 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong in a line, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Over [`MAX_TEMPLATE`].
    #[error("the file is longer than {MAX_TEMPLATE} octets, and here is too much; shorten it")]
    TooLong,
    /// Another encoding.
    #[error("this is not UTF-8; save the file in that encoding")]
    NotUtf8,
    /// An octet that is no text.
    #[error("there is a control character in this line; remove it")]
    Control,
    /// Text in the header.
    #[error("this is no field such as `Subject: text`; an empty line must stand before the text")]
    NotAField,
    /// A field that cannot be chosen.
    #[error("`{0}` cannot be set here, only From, Reply-To, Subject, Organization and names with X-")]
    UnknownField(String),
    /// A field that is made for each message.
    #[error("`{0}` is written by lastpop itself; remove this line")]
    OurField(String),
    /// The same field again.
    #[error("`{0}` is there twice; remove one")]
    Twice(String),
    /// A field with nothing in it.
    #[error("`{0}` is empty; fill it in or remove it")]
    EmptyField(String),
    /// Over `MAX_FIELD`.
    #[error("`{0}` is longer than {MAX_FIELD} octets; shorten it")]
    LongField(String),
    /// Over `MAX_FIELDS`.
    #[error("there are more than {MAX_FIELDS} fields; remove some")]
    ManyFields,
    /// A field that must be there.
    #[error("here the header ends, and it has no `{0}:`; add it above")]
    Missing(&'static str),
    /// No address.
    #[error(
        "`{0}` is not one address such as `Help desk <help@example.net>`; behind the @ may stand {{domain}} or \
        {{sender_domain}}"
    )]
    NotAnAddress(String),
    /// Nothing between header and HTML.
    #[error("here the text should have ended, and there is none; write it between the header and `<html>`")]
    NoText,
    /// No HTML.
    #[error(
        "here the file ends, and it has no HTML; add it behind the text, from a line `<html>` to `</html>`"
    )]
    NoHtml,
    /// HTML without an end, or something behind it.
    #[error("the file does not end with `</html>`; is it complete?")]
    Incomplete,
    /// A word in braces.
    #[error(
        "there is no placeholder {{{0}}}, only {{user}}, {{domain}}, {{url}}, {{campaign}}, {{sender_domain}}"
    )]
    UnknownPlaceholder(String),
    /// Over `MAX_PLACEHOLDERS`.
    #[error("there are more than {MAX_PLACEHOLDERS} placeholders up to here; use fewer")]
    ManyPlaceholders,
}

impl Problem {
    pub(super) const fn at(self, line: usize) -> TemplateError {
        TemplateError { line, problem: self }
    }
}
