//! What the runner sends: which lines go out together, and how they become octets.

use std::collections::HashMap;

use super::step::{Step, What};

/// Do both lines send to the same peer, so that they go out together?
pub(super) fn goes_along(first: &What, next: &What) -> bool {
    receiver(first).is_some() && receiver(first) == receiver(next)
}

/// Over which connection a sending line goes: a client's, or else the server's.
fn receiver(what: &What) -> Option<(Option<usize>, Option<usize>)> {
    if let What::ClientSends { client, .. } = what {
        return Some((Some(*client), None));
    }
    if let What::Answer { upstream, .. } | What::AnswerBytes { upstream, .. } = what {
        return Some((None, *upstream));
    }
    None
}

/// The server's lines as bytes: real tags for the transcript's, and `{#}` counted up to the line that begins with `)`.
pub(super) fn assemble(steps: &[Step], tags: &HashMap<String, String>) -> Result<Vec<u8>, String> {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    for step in steps {
        if let What::Answer { line, .. } = &step.what {
            let (first, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
            let first = tags.get(first).map_or(first, String::as_str);
            lines.push(format!("{first}{rest}\r\n").into_bytes());
        }
        if let What::AnswerBytes { bytes, .. } = &step.what {
            lines.push(bytes.clone());
        }
    }
    for index in 0..lines.len() {
        if let Some(start) = lines[index].strip_suffix(b"{#}\r\n") {
            let end = lines[index + 1..].iter().position(|line| line.starts_with(b")"));
            let end = end.ok_or("no line beginning with ) ends the literal {#}")?;
            let count: usize = lines[index + 1..=index + end].iter().map(Vec::len).sum();
            lines[index] = [start, format!("{{{count}}}\r\n").as_bytes()].concat();
        }
    }
    Ok(lines.concat())
}
