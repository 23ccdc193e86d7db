//! Unpredictable names for sessions and command tags.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A session's id in logs: 16 characters, 96 random bits.
pub fn session_id() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<12>())
}

/// `N` lower-case letters, so that a tag cannot be guessed by whoever puts text into a server's mouth.
pub fn letters<const N: usize>() -> [u8; N] {
    bytes().map(|octet| b'a' + octet % 26)
}

fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The only failure is a kernel without randomness, where TLS could not work either; a session's name
    // would then be a constant, which hurts nobody.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_are_safe_to_print() {
        assert_ne!(session_id(), session_id());
        assert_eq!(session_id().len(), 16);
        assert!(letters::<4>().iter().all(u8::is_ascii_lowercase));
    }
}
