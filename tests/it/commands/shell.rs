//! What is made from the description of the commands: help, completions, manual pages.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use super::run;

/// A command, by the program's own help.
struct Described {
    /// What is typed behind `lastpop`.
    words: Vec<String>,
    /// Its options, such as `--dry-run`.
    options: BTreeSet<String>,
}

/// Every command: each names those below it.
static COMMANDS: LazyLock<Vec<Described>> = LazyLock::new(|| {
    let mut all: Vec<Described> = Vec::new();
    let mut asked = vec![Vec::new()];
    while let Some(words) = asked.pop() {
        let typed: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
        let help = run(&typed, &[], "");
        help.fine(&["Usage: lastpop", "--help"]);
        let below = help.stdout.split("Commands:\n").nth(1).unwrap_or_default();
        let below = below.lines().take_while(|line| !line.is_empty());
        let names = below.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
        let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        asked.extend(names.map(|name| [&words[..], &[name.to_owned()]].concat()));
        all.push(Described { options: options(&help.stdout), words });
    }
    all
});

/// The options that lines begin with: `-o, --output <FILE>`.
fn options(text: &str) -> BTreeSet<String> {
    let words = |line: &str| -> Vec<String> {
        let words = line.split_whitespace().map(|word| word.trim_end_matches(',').to_owned());
        words.take_while(|word| word.starts_with('-')).filter(|word| word.starts_with("--")).collect()
    };
    text.lines().flat_map(words).collect()
}

#[test]
fn every_command_explains_itself() {
    assert!(COMMANDS.len() > 30);
    for Described { words, options } in &*COMMANDS {
        assert!(options.contains("--help"), "{words:?}");
        let changes = options.contains("--dry-run");
        assert_eq!(
            changes,
            options.contains("--reason"),
            "{words:?}: who changes something says why, and may try it"
        );
    }
}

/// Runs a program over files, and gives what it complained of.
fn complaints(package: &str, words: &[&str], files: &[&Path]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).args(files).env("LC_ALL", "C.UTF-8").output();
    let output =
        output.unwrap_or_else(|error| panic!("{}: {error}; install the Debian package {package}", words[0]));
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {complaints}");
    complaints
}

#[test]
fn shells_take_their_completions() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], &[], "");
        script.fine(&["lastpop", "unhide", "imap-only"]);
        let path = folder.path().join(shell);
        std::fs::write(&path, &script.stdout).expect("a file");
        assert_eq!(complaints(shell, &[shell, "-n"], &[&path]), "", "{shell}");
        for Described { words, options } in &*COMMANDS {
            for option in options {
                let spelled = if shell == "fish" { option.replace("--", "-l ") } else { option.clone() };
                assert!(script.stdout.contains(&spelled), "{shell}: {words:?} {option}");
            }
        }
    }
    let bash = std::fs::read_to_string(folder.path().join("bash")).expect("the script");
    for Described { words, options } in &*COMMANDS {
        let name: String = words.iter().fold("lastpop".to_owned(), |name, word| name + "__subcmd__" + word);
        let offered = bash
            .split(&format!("\n        {name})\n            opts=\""))
            .nth(1)
            .and_then(|rest| rest.split('"').next());
        let offered = offered.unwrap_or_else(|| panic!("no {name} for bash")).split(' ');
        let offered: BTreeSet<String> =
            offered.filter(|word| word.starts_with("--")).map(str::to_owned).collect();
        assert_eq!(&offered, options, "{words:?}");
    }
    run(&["completions", "tcsh"], &[], "").failed(2, &["possible values: bash, zsh, fish"]);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let below = folder.path().join("man1");
    run(&["man", &below.display().to_string()], &[], "").fine(&[]);
    for Described { words, options: known } in &*COMMANDS {
        let path = below.join([&["lastpop".to_owned()][..], words].concat().join("-") + ".1");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let text = ["\\fB", "\\fI", "\\fR"]
            .iter()
            .fold(text.replace("\\-", "-"), |text, font| text.replace(font, ""));
        assert_eq!(&options(&text), known, "{path:?}");
        assert_eq!(
            complaints("groff-base", &["groff", "-man", "-ww", "-z", "-Kutf8"], &[&path]),
            "",
            "{path:?}"
        );
    }
    run(&["man", "/proc/nowhere"], &[], "").failed(1, &["/proc/nowhere: "]);
}
