//! What a notice is known by: its unique-id in POP3 and its Message-ID.

use aws_lc_rs::digest::{Context, SHA256};

use super::words::{Campaign, Kind};

/// Octets of the hash that are used. 160 bits: two users never meet.
const USED: usize = 20;

/// The unique-id (RFC 1939 §7) of the notice of this campaign for this user.
///
/// It depends on nothing else, so that neither an edited template nor another proxy shows the notice a second
/// time. It is no message's unique-id: it holds braces, and what a recipe of `uidl` makes holds none, because
/// in a recipe a brace always belongs to a field.
pub fn unique_id(campaign: &Campaign, kind: Kind, user: &str) -> String {
    format!("{{{}}}{}", kind.as_str(), digest(campaign, kind, user))
}

/// The part of the Message-ID before the `@` (RFC 5322 §3.6.4). It names the user only as a hash.
pub(super) fn message_id(campaign: &Campaign, kind: Kind, user: &str) -> String {
    format!("{}.{}", kind.as_str(), digest(campaign, kind, user))
}

fn digest(campaign: &Campaign, kind: Kind, user: &str) -> String {
    let mut context = Context::new(&SHA256);
    // With its length before it, no word can borrow from its neighbour.
    for word in ["lastpop notice", campaign.as_str(), kind.as_str(), user] {
        context.update(&(word.len() as u64).to_be_bytes());
        context.update(word.as_bytes());
    }
    let hash = context.finish();
    let digits = hash.as_ref().iter().take(USED).flat_map(|octet| [octet >> 4, octet & 15]);
    digits.map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::uidl::{MAX_UNIQUE_ID, Recipe};

    fn campaign(text: &str) -> Campaign {
        Campaign::parse(text).expect("a campaign")
    }

    #[test]
    fn unique_ids_stay_what_they_were() {
        let one = campaign("1");
        assert_eq!(
            unique_id(&one, Kind::Notice, "anna@example.net"),
            "{notice}4102e643e89265add4dce5541835fc9f11d410c1"
        );
        assert_eq!(unique_id(&one, Kind::Farewell, ""), "{farewell}a761b57fde0e7f5ba729d63706e30fe4c7e82aab");
    }

    #[test]
    fn every_fact_counts_and_no_word_borrows_from_another() {
        let all = [
            unique_id(&campaign("1"), Kind::Notice, "anna"),
            unique_id(&campaign("2"), Kind::Notice, "anna"),
            unique_id(&campaign("1"), Kind::Farewell, "anna"),
            unique_id(&campaign("1"), Kind::Notice, "anna "),
            unique_id(&campaign("1n"), Kind::Notice, "otice"),
        ];
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());
    }

    proptest! {
        #[test]
        fn unique_ids_are_unique_ids(word in "[A-Za-z0-9._-]{1,32}", user: String) {
            for kind in Kind::ALL {
                let unique_id = unique_id(&campaign(&word), kind, &user);
                prop_assert!((1..=MAX_UNIQUE_ID).contains(&unique_id.len()));
                prop_assert!(unique_id.bytes().all(|octet| octet.is_ascii_graphic()));
                let has_brace = unique_id.contains('{');
                prop_assert!(has_brace);
                prop_assert!(message_id(&campaign(&word), kind, &user).len() <= 64);
            }
        }

        #[test]
        fn no_recipe_makes_a_brace(template in "([!-~]{0,20}(\\{uid(validity)?(:0?[0-9]?x)?\\})?){1,3}",
            uid: u32, uidvalidity: u32) {
            if let Ok(recipe) = Recipe::parse(&template) {
                let mut out = Vec::new();
                recipe.write(uid, uidvalidity, &mut out);
                let has_brace = out.iter().any(|octet| matches!(octet, b'{' | b'}'));
                prop_assert!(!has_brace);
            }
        }
    }
}
