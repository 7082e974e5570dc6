//! The worker alone: for the tests of this room, and for who uses a [`Scanner`](lestrade_extract::Scanner) in another program.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    lestrade_extract::worker_main(&arguments)
}
