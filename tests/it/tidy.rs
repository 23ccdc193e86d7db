//! The rules of the house, held by a test instead of by a reviewer: a header on every file, files that stay
//! short, imports that go down the floors, an example configuration that loads, and one place for the crate
//! that is no longer maintained.

use std::path::{Path, PathBuf};

/// Lines that a source file may have.
const LONGEST: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder with this ending, with their text.
fn files(folder: &str, ending: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
                found.push((name, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    assert!(!found.is_empty(), "no .{ending} file below {folder}");
    found
}

/// A file without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

#[test]
fn every_file_says_what_it_is_and_stays_short() {
    for (name, text) in files("src", "rs").into_iter().chain(files("tests", "rs")) {
        assert!(text.starts_with("//! "), "{name} does not begin with a //! header");
        let lines = text.lines().count();
        assert!(lines <= LONGEST, "{name} has {lines} lines; at most {LONGEST} are allowed");
    }
}

/// The floor of a module, by its path below `src`; see the map in `src/lib.rs`.
fn floor(module: &str) -> u8 {
    const WORDS: [&str; 20] = [
        "pop3/line",
        "pop3/command",
        "pop3/sasl",
        "pop3/reply",
        "pop3/capa",
        "pop3/dot",
        "pop3/mod",
        "imap/command",
        "imap/master",
        "imap/set",
        "imap/frame",
        "imap/response",
        "imap/fetch",
        "imap/date",
        "imap/quota",
        "imap/capability",
        "imap/error",
        "notice/words",
        "notice/encode",
        "words",
    ];
    let folder = module.split('/').next().unwrap_or(module);
    match (folder, module) {
        (_, module) if WORDS.contains(&module) => 0,
        (
            "pop3" | "policy" | "notice" | "family" | "import" | "uidl" | "users" | "config" | "api"
            | "random",
            _,
        )
        | ("usage", "usage/days" | "usage/delta" | "usage/totals") => 1,
        ("imap" | "net" | "metrics" | "slots" | "live" | "store" | "templates" | "secret", _) => 2,
        (
            "lib" | "main" | "admin" | "background" | "cli" | "serve" | "check" | "listener" | "logging"
            | "fleet",
            _,
        )
        | ("usage", "usage/run") => 4,
        ("session" | "usage" | "waves", _) => 3,
        _ => panic!("src/{module}.rs is on no floor; name it in src/lib.rs and here"),
    }
}

/// The folders of this crate that a file names.
fn imports(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        let path: String = text[at + 7..]
            .chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == ':')
            .collect();
        found.push(path.replace("::", "/"));
    }
    found
}

#[test]
fn imports_go_down_the_floors() {
    for (name, text) in files("src", "rs") {
        let module = name.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
        let own = floor(&module);
        let folder = module.split('/').next().unwrap_or_default().to_owned();
        for import in imports(code(&text)) {
            let target = import.split('/').next().unwrap_or_default().to_owned();
            let exact = import.split('/').take(2).collect::<Vec<_>>().join("/");
            // A folder's own re-exports are named by the folder; its files by folder and file.
            let theirs = [exact.as_str(), target.as_str()]
                .into_iter()
                .find_map(|module| root().join(format!("src/{module}.rs")).exists().then(|| floor(module)));
            let theirs = theirs.unwrap_or_else(|| lowest(&target));
            let sideways = target == folder
                || (folder == "imap" && target == "net")
                || (own == 4 && theirs == 4)
                || (folder == "api" && target == "policy")
                || (folder == "import" && ["api", "policy", "users"].contains(&target.as_str()))
                || (folder == "config" && ["uidl", "users", "policy", "notice"].contains(&target.as_str()));
            assert!(theirs < own || sideways, "{name} (floor {own}) imports {import} (floor {theirs})");
        }
    }
}

/// What a folder re-exports may stand on any of its floors; the lowest is what an import can count on.
fn lowest(folder: &str) -> u8 {
    let below = |(name, _): &(String, String)| name.starts_with(&format!("src/{folder}/"));
    let all = files("src", "rs").into_iter().filter(below);
    let floors = all.map(|(name, _)| floor(name.trim_start_matches("src/").trim_end_matches(".rs")));
    floors.min().unwrap_or_else(|| panic!("there is no src/{folder}"))
}

#[test]
fn words_and_decisions_know_no_runtime_no_log_and_no_clock() {
    for (name, text) in files("src", "rs") {
        if floor(name.trim_start_matches("src/").trim_end_matches(".rs")) <= 1 {
            for word in ["tokio", "tracing::", "Instant::now", "SystemTime::now", "prometheus"] {
                assert!(!code(&text).contains(word), "{name} names {word}");
            }
        }
    }
}

#[test]
fn pop3_and_imap_do_not_know_each_other() {
    for (name, text) in files("src", "rs") {
        for (folder, other) in [("src/pop3/", "crate::imap"), ("src/imap/", "crate::pop3")] {
            assert!(!(name.starts_with(folder) && text.contains(other)), "{name} names {other}");
        }
    }
}

#[test]
fn only_the_upper_floors_log_and_count() {
    for (name, text) in files("src", "rs") {
        let module = name.trim_start_matches("src/").trim_end_matches(".rs").to_owned();
        if floor(&module) <= 2 && !module.starts_with("metrics") {
            assert!(!code(&text).contains("tracing::"), "{name} logs");
            assert!(!code(&text).contains("crate::metrics"), "{name} counts");
        }
    }
}

#[test]
fn the_unmaintained_crate_stays_in_its_place() {
    for (name, text) in files("src", "rs") {
        assert!(name == "src/net/pem.rs" || !text.contains("rustls_pemfile"), "{name} names rustls_pemfile");
    }
}

#[test]
fn the_source_names_no_command_that_removes() {
    for (name, text) in files("src", "rs") {
        for word in ["\"EXPUNGE", " EXPUNGE\"", "UID MOVE", "UID COPY", "CLOSE\"", "APPEND\"", "\\\\Deleted"]
        {
            let allowed = name == "src/imap/response.rs" && word == "\"EXPUNGE";
            assert!(allowed || !code(&text).contains(word), "{name} names {word}");
        }
    }
}

#[test]
fn the_example_configuration_loads_and_shows_the_defaults() {
    let example = lastpop::config::load(&root().join("config/lastpop.toml")).expect("a configuration");
    let defaults = lastpop::config::Config::default();
    assert_eq!(example.limits, defaults.limits);
    assert_eq!(example.maildrop, defaults.maildrop);
    assert_eq!(example.login, defaults.login);
    assert_eq!(example.policy, defaults.policy);
    assert_eq!(example.domains, defaults.domains);
    assert_eq!(example.notices, defaults.notices);
    assert_eq!(example.state, defaults.state);
    assert_eq!(example.usage, defaults.usage);
    assert_eq!(example.admin, defaults.admin);
    assert_eq!(example.metrics, defaults.metrics);
    assert_eq!(example.log, defaults.log);
    let address = example.upstream.address.clone();
    assert_eq!(example.upstream, lastpop::config::Upstream { address, ..defaults.upstream });
}

#[test]
fn what_the_example_shows_as_a_comment_is_true() {
    let text = std::fs::read_to_string(root().join("config/lastpop.toml")).expect("text");
    let starts = ["# [[policy.", "# [policy.", "# [domains.", "# [upstream.master]"];
    let mut shown = false;
    let uncommented = text.lines().map(|line| {
        shown = (shown && line.starts_with("# ")) || starts.iter().any(|start| line.starts_with(start));
        let line = if shown { line.trim_start_matches("# ") } else { line };
        line.replace("url = \"\"", "url = \"https://example.net/imap\"")
    });
    let uncommented = uncommented.collect::<Vec<_>>().join("\n");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("lastpop.toml");
    std::fs::write(&path, uncommented).expect("written");
    let config = lastpop::config::load(&path).expect("a configuration");
    assert_eq!(config.policy.refusals, *lastpop::policy::Sentences::built_in(None));
    assert_eq!((config.policy.brownout.len(), config.domains.iter().count()), (1, 1));
    let master = config.upstream.master.expect("a section");
    assert_eq!(master.form(), lastpop::imap::Form::Separator(lastpop::imap::Separator::default()));
}
