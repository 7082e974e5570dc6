//! Package databases that are recognised and not read. A system with such a one is never called complete: nothing found in it is
//! not the same as nothing there.

use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};

pub(super) struct Unread;

impl Extractor for Unread {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "unread", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &[
            "var/lib/rpm/Packages",
            "var/lib/rpm/Packages.db",
            "var/lib/rpm/rpmdb.sqlite",
            "usr/lib/sysimage/rpm/Packages",
            "usr/lib/sysimage/rpm/Packages.db",
            "usr/lib/sysimage/rpm/rpmdb.sqlite",
            // Images without a package manager, of Azure Linux.
            "var/lib/rpmmanifest/container-manifest-2",
            "var/lib/pacman/local/ALPM_DB_VERSION",
        ]
    }

    fn extract(&self, file: &WantedFile<'_>, _out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let manager = if file.path.contains("rpm") { "RPM" } else { "pacman" };
        Err(ExtractError::Unsupported(format!("the {manager} database is not read yet: its packages are not listed")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use lestrade_model::ProblemKind;

    #[test]
    fn what_is_not_read_is_said() {
        for path in ["var/lib/rpm/rpmdb.sqlite", "usr/lib/sysimage/rpm/Packages.db", "var/lib/pacman/local/ALPM_DB_VERSION"] {
            assert_eq!(read(path, "").problems[0].0, ProblemKind::Unsupported, "{path}");
        }
    }
}
