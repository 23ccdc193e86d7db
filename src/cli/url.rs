//! Paths and queries of requests: whatever is in a name, it stays one segment or one value.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::api;

/// The path of a route: the segments below [`api::PREFIX`], percent-encoded (RFC 3986 §2.1).
pub(super) fn path(segments: &[&str]) -> String {
    let mut path = api::PREFIX.to_owned();
    for segment in segments {
        path.push('/');
        if matches!(*segment, "." | "..") {
            // As they are, they would mean "here" and "up" to whatever is on the way (RFC 3986 §5.2.4).
            path.push_str(&segment.replace('.', "%2E"));
        } else {
            encode(segment, &mut path);
        }
    }
    path
}

/// The fields of a request as a query, with its `?`; those that are `null` are left out.
pub(super) fn query(fields: &impl Serialize) -> String {
    let mut query = String::new();
    let Ok(Value::Object(fields)) = serde_json::to_value(fields) else { return query };
    for (name, value) in fields {
        let value = match value {
            Value::Null => continue,
            Value::String(text) => text,
            other => other.to_string(),
        };
        query.push(if query.is_empty() { '?' } else { '&' });
        encode(&name, &mut query);
        query.push('=');
        encode(&value, &mut query);
    }
    query
}

/// Everything but the unreserved characters of RFC 3986 §2.3 and `@`, which most names have.
fn encode(text: &str, onto: &mut String) {
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~@".contains(&octet) {
            onto.push(char::from(octet));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(onto, "%{octet:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::{Order, UserQuery};

    #[test]
    fn names_stay_one_segment() {
        for (name, path) in [
            ("jane@example.net", "/api/v1/users/jane@example.net/mode"),
            ("a/b", "/api/v1/users/a%2Fb/mode"),
            ("..", "/api/v1/users/%2E%2E/mode"),
            (".", "/api/v1/users/%2E/mode"),
            ("...", "/api/v1/users/.../mode"),
            ("100%", "/api/v1/users/100%25/mode"),
            ("%2F", "/api/v1/users/%252F/mode"),
            ("a b?c#d", "/api/v1/users/a%20b%3Fc%23d/mode"),
            ("ķ", "/api/v1/users/%C4%B7/mode"),
            ("*", "/api/v1/users/%2A/mode"),
            ("a\r\nb", "/api/v1/users/a%0D%0Ab/mode"),
        ] {
            assert_eq!(super::path(&["users", name, "mode"]), path);
        }
    }

    #[test]
    fn queries_leave_out_what_is_not_asked() {
        let all = UserQuery { search: Some("a&b=c".to_owned()), ..UserQuery::default() };
        assert_eq!(query(&all), "?limit=100&search=a%26b%3Dc");
        let order = Order {
            reason: "ticket 1+1".parse().expect("a reason"),
            dry_run: true,
            confirm_redownload: false,
        };
        assert_eq!(query(&order), "?confirm_redownload=false&dry_run=true&reason=ticket%201%2B1");
    }

    proptest! {
        /// Any name is one segment of a URI that the HTTP library takes, and can be read back from it.
        #[test]
        fn any_name_can_be_read_back(name in "\\PC{1,40}|[./%]{1,6}") {
            let path = path(&["users", &name]);
            let uri: hyper::Uri = path.parse().expect("a URI");
            let segment = uri.path().strip_prefix("/api/v1/users/").expect("the prefix");
            prop_assert!(!segment.contains('/'));
            prop_assert_eq!(decoded(segment), name);
        }
    }

    fn decoded(segment: &str) -> String {
        let mut octets = Vec::new();
        let mut rest = segment.bytes();
        while let Some(octet) = rest.next() {
            octets.push(if octet == b'%' {
                let hex: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&hex, 16).expect("hex digits")
            } else {
                octet
            });
        }
        String::from_utf8(octets).expect("text")
    }
}
