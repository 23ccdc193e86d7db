//! Reads a transcript with everything that it includes: text to settings and steps, with the place of every step, and
//! a clear complaint for every line that is not understood. The format is told in [`super`].

use std::fs;
use std::path::Path;

use super::deed::{Deed, deed};
use super::step::{Place, Step, What, step};

/// How deep includes may include.
const INCLUDE_DEPTH: usize = 4;

/// A whole transcript, ready to run.
#[derive(Debug, Default)]
pub(super) struct Script {
    /// The file's name, with `_`.
    pub(super) name: String,
    /// `@ config section.key = value`, in order.
    pub(super) config: Vec<(String, String)>,
    /// `@ pieces …`: how the bytes of both peers are cut; `None` is "in one piece".
    pub(super) pieces: Vec<Option<usize>>,
    /// `@ absent TEXT`: what no reply may contain.
    pub(super) absent: Vec<String>,
    /// `@ secret TEXT`: what neither a reply nor the log may contain.
    pub(super) secret: Vec<String>,
    /// What is done before the dialogue begins.
    pub(super) before: Vec<Deed>,
    /// What happens, in order.
    pub(super) steps: Vec<Step>,
}

/// Reads a transcript and everything that it includes.
pub(super) fn file(path: &Path) -> Result<Script, String> {
    let name = path.file_stem().map(|name| name.to_string_lossy().replace('-', "_")).unwrap_or_default();
    let mut script = Script { name, ..Script::default() };
    read_into(&mut script, path, 0)?;
    if script.steps.is_empty() {
        return Err(format!("{}: no step in it", path.display()));
    }
    if script.pieces.is_empty() {
        script.pieces = vec![None, Some(1)];
    }
    Ok(script)
}

impl Script {
    /// Are rules changed while lastpop runs?
    pub(super) fn changes_rules_later(&self) -> bool {
        let changes = |step: &Step| matches!(&step.what, What::Does(deed) if !matches!(deed, Deed::Time(_)));
        self.steps.iter().any(changes)
    }
}

fn read_into(script: &mut Script, path: &Path, depth: usize) -> Result<(), String> {
    if depth > INCLUDE_DEPTH {
        return Err(format!("{}: includes go deeper than {INCLUDE_DEPTH}", path.display()));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    if !text.starts_with('#') {
        return Err(format!("{}: the first line must be a comment that names the rule", path.display()));
    }
    for (index, line) in text.lines().enumerate() {
        let place = Place { file: path.to_owned(), line: index + 1, text: line.to_owned() };
        let complain = |problem: &str| format!("{place}\n    {problem}");
        if line.ends_with([' ', '\t']) {
            return Err(complain("blanks at the end; write \\x20 in a raw line (C= or <=)"));
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(directive) = line.strip_prefix("@ ") {
            if let Some(name) = directive.strip_prefix("include ") {
                let included =
                    path.ancestors().find(|dir| dir.ends_with("scripts")).unwrap_or(Path::new("."));
                read_into(script, &included.join("include").join(format!("{name}.txt")), depth + 1)?;
            } else {
                obey(script, directive, &place).map_err(|problem| complain(&problem))?;
            }
            continue;
        }
        let (times, what) = step(line).map_err(|problem| complain(&problem))?;
        script.steps.extend((0..times).map(|_| Step { place: place.clone(), what: what.clone() }));
    }
    Ok(())
}

/// `@ …`, except `@ include`.
fn obey(script: &mut Script, directive: &str, place: &Place) -> Result<(), String> {
    if let Some(deed) = deed(directive) {
        let deed = deed?;
        if script.steps.is_empty() {
            script.before.push(deed);
        } else {
            script.steps.push(Step { place: place.clone(), what: What::Does(deed) });
        }
    } else if let Some((key, value)) =
        directive.strip_prefix("config ").and_then(|rest| rest.split_once(" = "))
    {
        script.config.push((key.to_owned(), value.to_owned()));
    } else if let Some(text) = directive.strip_prefix("absent ") {
        script.absent.push(text.to_owned());
    } else if let Some(text) = directive.strip_prefix("secret ") {
        script.secret.push(text.to_owned());
    } else if let Some(cuts) = directive.strip_prefix("pieces ") {
        for cut in cuts.split(' ') {
            let size = cut.parse().ok().filter(|size| *size > 0);
            if cut != "whole" && size.is_none() {
                return Err(format!("{cut:?} is neither `whole` nor a number of octets"));
            }
            script.pieces.push(size);
        }
    } else {
        return Err("unknown directive".to_owned());
    }
    Ok(())
}
