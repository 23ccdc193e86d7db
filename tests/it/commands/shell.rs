//! What is made from the description of the commands: help, completions, manual pages.

use std::path::Path;
use std::process::Command;

use super::run;

/// The words of every command, from the program's own help.
fn commands() -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut at = 0;
    while at < all.len() {
        let words: Vec<&str> = all[at].iter().map(String::as_str).collect();
        let help = run(&[&words[..], &["-h"]].concat(), &[], "");
        help.fine(&["Usage: lastpop"]);
        let below = help.stdout.split("Commands:\n").nth(1).unwrap_or_default();
        let below = below.lines().take_while(|line| !line.is_empty());
        let names = below.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
        let names = names.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help");
        let found: Vec<_> = names.map(|name| [&all[at][..], &[name.to_owned()]].concat()).collect();
        all.extend(found);
        at += 1;
    }
    all
}

#[test]
fn every_command_explains_itself() {
    let all = commands();
    assert!(all.len() > 30, "{all:?}");
    for words in all {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        run(&[&words[..], &["--help"]].concat(), &[], "").fine(&["Usage: lastpop", "--help"]);
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
    }
    run(&["completions", "tcsh"], &[], "").failed(2, &["possible values: bash, zsh, fish"]);
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let below = folder.path().join("man1");
    run(&["man", &below.display().to_string()], &[], "").fine(&[]);
    for words in commands() {
        let path = below.join([&["lastpop".to_owned()][..], &words].concat().join("-") + ".1");
        assert_eq!(
            complaints("groff-base", &["groff", "-man", "-ww", "-z", "-Kutf8"], &[&path]),
            "",
            "{path:?}"
        );
    }
    run(&["man", "/proc/nowhere"], &[], "").failed(1, &["/proc/nowhere: "]);
}
