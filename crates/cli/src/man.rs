//! `longshore man`: manual pages.

use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::args::Cli;
use crate::failure::Failure;
use crate::output::Out;

/// Writes one page a command into the folder, or the first page to stdout.
///
/// # Errors
/// When the folder or stdout cannot be written.
pub(crate) fn run(folder: Option<&Path>, out: &mut Out) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let Some(folder) = folder else {
        let mut page = Vec::new();
        Man::new(command).render(&mut page)?;
        return Ok(out.line(String::from_utf8_lossy(&page).trim_end())?);
    };
    std::fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
    let mut pages = 0;
    write(&command, "longshore", folder, &mut pages)?;
    Ok(out.line(format!("{pages} manual pages in {}", folder.display()))?)
}

fn write(command: &clap::Command, name: &str, folder: &Path, pages: &mut u32) -> Result<(), Failure> {
    // A page's name is a word; what is to be typed has blanks.
    let title: &'static str = Box::leak(name.to_owned().into_boxed_str());
    let mut page = Vec::new();
    Man::new(command.clone().name(title)).render(&mut page)?;
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page).map_err(|error| named(&path, &error))?;
    *pages += 1;
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        write(sub, &format!("{name}-{}", sub.get_name()), folder, pages)?;
    }
    Ok(())
}

fn named(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        longshore_service::exit::ExitCode::Failure,
        format!("--out: {}: {error}", path.display()),
    )
}
