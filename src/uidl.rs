//! Unique-ids (RFC 1939 §7, UIDL): templates over what the mail store knows about a message.
//!
//! A client that leaves mail on the server remembers unique-ids for years, so a recipe must give the same
//! octets as the POP3 server before it did. A recipe is a template such as `{uid:08x}{uidvalidity:08x}`,
//! or the name of one that is known.

use nom::branch::alt;
use nom::bytes::complete::{tag, take_while1};
use nom::character::complete::{char, one_of, u8 as number};
use nom::combinator::{all_consuming, map, opt, value};
use nom::multi::many1;
use nom::sequence::{delimited, preceded};
use nom::{IResult, Parser};

/// Longest unique-id (RFC 1939 §7), in octets.
pub const MAX_UNIQUE_ID: usize = 70;

/// Digits of the largest 32-bit number, in decimal.
const MAX_DIGITS: usize = 10;

/// Recipes by name: what other POP3 servers compute from UID and UIDVALIDITY.
const RECIPES: [(&str, &str); 7] = [
    ("dovecot", "{uid:08x}{uidvalidity:08x}"),
    ("uw", "{uidvalidity:08x}{uid:08x}"),
    ("cyrus", "{uidvalidity}.{uid}"),
    ("cyrus-old", "{uid}"),
    ("james", "{uidvalidity}-{uid}"),
    ("hmailserver", "{uid}"),
    ("stalwart", "{uidvalidity}{uid}"),
];

/// A template that gives every message of a mailbox its unique-id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    template: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Vec<u8>),
    Number { field: Field, hex: bool, width: usize },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Uid,
    UidValidity,
}

impl Recipe {
    /// The recipe with this name, or this template.
    ///
    /// ```abnf
    /// template = 1*(text / "{" field [":" ["0" width] "x"] "}")
    /// field    = "uid" / "uidvalidity"
    /// width    = 1*DIGIT            ; at most 10
    /// text     = 1*(%x21-7A / "|" / "~")
    /// ```
    ///
    /// A template without `uid` would give every message the same unique-id, and one that can grow beyond
    /// 70 octets would be cut by nobody: both are refused, with a sentence that says so.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = RECIPES.iter().find(|(name, _)| *name == text).map_or(text, |(_, template)| template);
        if !template.contains('{') {
            let names: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "`{text}` is neither a known recipe ({}) nor a template such as {{uid:08x}}{{uidvalidity:08x}}",
                names.join(", ")
            ));
        }
        let (_, parts) = all_consuming(many1(part)).parse(template).map_err(|_| {
            format!(
                "`{text}` is not a template: only {{uid}}, {{uidvalidity}}, a form such as {{uid:08x}} and \
                visible ASCII are possible"
            )
        })?;
        let recipe = Self { template: template.to_owned(), parts };
        if !recipe.parts.iter().any(|part| matches!(part, Part::Number { field: Field::Uid, .. })) {
            return Err(format!(
                "`{text}` does not use {{uid}}, so all messages would have the same unique-id"
            ));
        }
        if recipe.longest() > MAX_UNIQUE_ID {
            return Err(format!(
                "`{text}` can give more than {MAX_UNIQUE_ID} octets, the most a unique-id may have"
            ));
        }
        Ok(recipe)
    }

    /// The recipe as a template, from which it can be made again.
    pub fn template(&self) -> &str {
        &self.template
    }

    /// Appends the unique-id of the message `uid` to `out`.
    pub fn write(&self, uid: u32, uidvalidity: u32, out: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Number { field, hex, width } => {
                    let value = match field {
                        Field::Uid => uid,
                        Field::UidValidity => uidvalidity,
                    };
                    write_number(value, if *hex { 16 } else { 10 }, *width, out);
                }
            }
        }
    }

    fn longest(&self) -> usize {
        let longest = |part: &Part| match part {
            Part::Text(text) => text.len(),
            Part::Number { width, .. } => (*width).max(MAX_DIGITS),
        };
        self.parts.iter().map(longest).sum()
    }
}

/// Digits without a detour over `String`: this runs for every message of every listing.
fn write_number(mut value: u32, base: u32, width: usize, out: &mut Vec<u8>) {
    let mut digits = [b'0'; MAX_DIGITS];
    let mut start = digits.len();
    while value > 0 || start == digits.len() {
        start -= 1;
        digits[start] = b"0123456789abcdef"[(value % base) as usize];
        value /= base;
    }
    out.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

fn part(input: &str) -> IResult<&str, Part> {
    let field = alt((value(Field::UidValidity, tag("uidvalidity")), value(Field::Uid, tag("uid"))));
    let format = preceded(char(':'), (opt(preceded(char('0'), number)), one_of("x")));
    let braced = delimited(char('{'), (field, opt(format)), char('}'));
    let braced = nom::combinator::map_opt(braced, |(field, format)| {
        let width = format.and_then(|(width, _)| width).unwrap_or(1);
        let width = usize::from(width).max(1);
        (width <= MAX_DIGITS).then_some(Part::Number { field, hex: format.is_some(), width })
    });
    let text = take_while1(|c: char| c.is_ascii_graphic() && c != '{' && c != '}');
    alt((braced, map(text, |text: &str| Part::Text(text.as_bytes().to_vec())))).parse(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unique_id(recipe: &str, uid: u32, uidvalidity: u32) -> String {
        let mut out = Vec::new();
        Recipe::parse(recipe).expect("a recipe").write(uid, uidvalidity, &mut out);
        String::from_utf8(out).expect("ASCII")
    }

    #[test]
    fn known_recipes() {
        let table = [
            ("dovecot", "0000000261a5d2ff"),
            ("uw", "61a5d2ff00000002"),
            ("cyrus", "1638257407.2"),
            ("cyrus-old", "2"),
            ("james", "1638257407-2"),
            ("hmailserver", "2"),
            ("stalwart", "16382574072"),
        ];
        assert_eq!(table.len(), RECIPES.len());
        for (recipe, expected) in table {
            assert_eq!(unique_id(recipe, 2, 0x61a5_d2ff), expected, "{recipe}");
        }
    }

    #[test]
    fn templates() {
        assert_eq!(unique_id("UID{uid}-{uidvalidity}", 7, 9), "UID7-9");
        assert_eq!(unique_id("{uid:x}", 255, 0), "ff");
        assert_eq!(unique_id("{uid:010x}", 255, 0), "00000000ff");
        assert_eq!(unique_id("{uid}", u32::MAX, 0), "4294967295");
        assert_eq!(unique_id("{uid}.{uidvalidity}", 0, 0), "0.0");
        assert_eq!(unique_id("dovecot", u32::MAX, u32::MAX), "ffffffffffffffff");
    }

    #[test]
    fn what_would_hurt_clients_is_refused() {
        let long = format!("{}{{uid}}", "x".repeat(61));
        for text in [
            "",
            "dovcot",
            "{uidvalidity}",
            "{uid",
            "{uid} {uidvalidity}",
            "{guid}",
            "{uid:011x}",
            "{uid:s}",
            "ā{uid}",
            &long,
        ] {
            assert!(Recipe::parse(text).is_err(), "{text}");
        }
        assert!(Recipe::parse(&long[1..]).is_ok());
    }
}
