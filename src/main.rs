//! The binary: see the library's map.

use std::process::ExitCode;

fn main() -> ExitCode {
    lastpop::cli::run()
}
