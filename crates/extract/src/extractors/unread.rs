//! Package databases that are recognised and not read. A system with such a one is never called complete: nothing found in it is
//! not the same as nothing there.

use crate::{ExtractError, Extractor, ExtractorId, InventorySink, WantedFile};

pub(super) struct Unread;

impl Extractor for Unread {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "unread", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        &["var/lib/pacman/local/ALPM_DB_VERSION"]
    }

    fn extract(&self, _file: &WantedFile<'_>, _out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        Err(ExtractError::Unsupported("pacman's database is not read: its packages are not listed".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::read;
    use lestrade_model::ProblemKind;

    #[test]
    fn what_is_not_read_is_said() {
        assert_eq!(read("var/lib/pacman/local/ALPM_DB_VERSION", "9").problems[0].0, ProblemKind::Unsupported);
    }
}
