//! `lastpop completions` and `lastpop man`: made from the same description as `--help`.

use std::io::{self, Write as _};
use std::path::Path;

use clap::CommandFactory;

use super::failure::Failure;
use super::options::stdout;

/// Shells for which there are completions.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum Shell {
    /// GNU bash with bash-completion.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Prints the completions of a program for a shell.
pub(super) fn completions<P: CommandFactory>(shell: Shell) -> Result<(), Failure> {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut program = P::command();
    let name = program.get_name().to_owned();
    // It takes no errors, so it writes into memory.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, name, &mut script);
    let mut out = stdout();
    out.write_all(&script)?;
    Ok(out.flush()?)
}

/// Writes a manual page for a program, and one for each of its commands.
pub(super) fn man<P: CommandFactory>(folder: &Path) -> Result<(), Failure> {
    let failed = |source| Failure::File { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut program = P::command().disable_help_subcommand(true);
    program.build();
    pages(program, folder).map_err(failed)
}

fn pages(command: clap::Command, folder: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        pages(below.clone(), folder)?;
    }
    let page = clap_mangen::Man::new(command).source(concat!("lastpop ", env!("CARGO_PKG_VERSION")));
    page.manual("lastpop").generate_to(folder).map(drop)
}
