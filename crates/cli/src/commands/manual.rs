//! What a shell and a reader need: completions and the manual page, made from the command line's own definition.

use crate::args::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output;
use clap::CommandFactory;

pub(crate) fn completions(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "lestrade", &mut script);
    output::write(None, &String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

/// One page: every command with its options, one after another.
pub(crate) fn page() -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| Failure::new("E0301", Exit::Input, "the manual page cannot be made").cause(error);
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).map_err(failed)?;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        sections(inner, &mut page).map_err(failed)?;
    }
    output::write(None, &String::from_utf8_lossy(&page))?;
    Ok(Exit::Ok)
}

fn sections(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let title = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_uppercase();
    page.extend_from_slice(format!(".SH \"{title}\"\n").as_bytes());
    let man = clap_mangen::Man::new(command.clone());
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        sections(inner, page)?;
    }
    Ok(())
}
