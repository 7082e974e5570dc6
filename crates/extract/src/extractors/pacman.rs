//! pacman's database: a folder for each package, with `desc` (what it is) and `files` (what it owns); alpm's version 9 of it.

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use lestrade_model::Manager;

pub(super) struct Pacman;

const VERSION: &str = "9";
/// A longer field is cut here; the package is kept.
const MAX_FIELD: usize = 4096;

impl Extractor for Pacman {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "pacman", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["var/lib/pacman/local/ALPM_DB_VERSION", "var/lib/pacman/local/*/desc", "var/lib/pacman/local/*/files"]
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let text = file.text();
        match file.path.rsplit('/').next().unwrap_or_default() {
            "ALPM_DB_VERSION" if text.trim() == VERSION => Ok(()),
            "ALPM_DB_VERSION" => {
                let version: String = text.trim().chars().filter(|c| c.is_ascii_alphanumeric()).take(16).collect();
                Err(ExtractError::Unsupported(format!("pacman's database is of version '{version}', of which only 9 is read")))
            }
            "files" => {
                // Folders end in a stroke; the section of configuration files follows.
                let owned = text.lines().skip_while(|line| *line != "%FILES%").skip(1).take_while(|line| !line.starts_with('%'));
                owned.filter(|path| !path.is_empty() && !path.ends_with('/')).for_each(|path| out.owns(path));
                Ok(())
            }
            _ => package(&text, out),
        }
    }
}

fn package(text: &str, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
    let field = |name: &str| {
        let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).skip_while(|line| *line != name).skip(1);
        let value: String = lines.next().unwrap_or_default().trim().chars().filter(|c| !c.is_control()).take(MAX_FIELD).collect();
        Some(value).filter(|value| !value.is_empty() && !value.starts_with('%'))
    };
    let missing = |what: &str| ExtractError::Malformed(format!("a package without a {what}"));
    let name = field("%NAME%").ok_or_else(|| missing("name"))?;
    let version = field("%VERSION%").ok_or_else(|| missing("version"))?;
    let source = field("%BASE%").map(|base| (base, version.clone()));
    let (arch, origin, manager) = (field("%ARCH%"), Origin::OperatingSystem, Manager::Pacman);
    out.found(Found { origin, name, version, source, arch, module: None, manager });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{packages, read};
    use lestrade_model::ProblemKind;

    const DESC: &str = "%NAME%\nlib32-glibc\n\n%VERSION%\n2.38-5\n\n%BASE%\nglibc\n\n%DESC%\nGNU C Library\n\n%ARCH%\nx86_64\n\n%DEPENDS%\nlinux-api-headers>=4.10\n";

    #[test]
    fn a_package_is_a_folder() {
        let report = read("var/lib/pacman/local/lib32-glibc-2.38-5/desc", DESC);
        let found = &report.found[0];
        assert_eq!((found.name.as_str(), found.version.as_str(), found.arch.as_deref()), ("lib32-glibc", "2.38-5", Some("x86_64")));
        assert_eq!(found.source, Some(("glibc".into(), "2.38-5".into())));
    }

    #[test]
    fn files_are_owned_and_folders_are_not() {
        let files = "%FILES%\nusr/\nusr/lib/python3.12/site-packages/requests-2.31.0.dist-info/\n\
            usr/lib/python3.12/site-packages/requests-2.31.0.dist-info/METADATA\n\n%BACKUP%\netc/x\tdeadbeef\n";
        let report = read("var/lib/pacman/local/python-requests-2.31.0-1/files", files);
        assert_eq!(report.owns, ["usr/lib/python3.12/site-packages/requests-2.31.0.dist-info/METADATA"]);
    }

    #[test]
    fn what_is_broken_or_of_another_version_is_said() {
        assert_eq!(read("var/lib/pacman/local/x-1/desc", "%NAME%\nx\n").problems[0].0, ProblemKind::Malformed);
        assert_eq!(read("var/lib/pacman/local/x-1/desc", "%NAME%\n%VERSION%\n1\n").problems[0].0, ProblemKind::Malformed);
        assert_eq!(read("var/lib/pacman/local/ALPM_DB_VERSION", "10\n").problems[0].0, ProblemKind::Unsupported);
        assert!(read("var/lib/pacman/local/ALPM_DB_VERSION", "9\n").problems.is_empty());
        assert_eq!(packages("var/lib/pacman/local/x-1/desc", "%NAME%\r\nx\r\n\r\n%VERSION%\r\n1:1-1\r\n"), ["x 1:1-1"]);
    }
}
