//! rpm's own database (`Packages.db`): pages of slots that say where in the file each package's header lies (rpm's
//! `lib/backend/ndb`).

use super::Blobs;
use super::bytes::le32;
use crate::ExtractError;

pub(super) const MAGIC: &[u8] = b"RpmP";
const SLOT: &[u8] = b"Slot";
const BLOB: &[u8] = b"BlbS";
const SLOT_PAGE: usize = 4096;
const SLOT_SIZE: usize = 16;
/// The file's header takes the place of two slots; blobs lie at multiples of this.
const FILE_HEADER: usize = 32;
const BLOCK: usize = 16;
const BLOB_HEADER: usize = 16;

pub(super) fn blobs(content: &[u8]) -> Blobs {
    let mut found = Vec::new();
    let whole = read(content, &mut found).is_some();
    let damaged = || ExtractError::Malformed("the rpm database is damaged: not all of its packages are listed".into());
    (found, (!whole).then(damaged))
}

/// None when something of it does not fit.
fn read(content: &[u8], found: &mut Vec<Vec<u8>>) -> Option<()> {
    let pages = usize::try_from(le32(content, 12)?).ok()?;
    let slots = content.get(FILE_HEADER..pages.checked_mul(SLOT_PAGE)?)?;
    let mut whole = true;
    for slot in slots.chunks_exact(SLOT_SIZE) {
        let (package, block) = (le32(slot, 4)?, le32(slot, 8)?);
        whole &= slot.starts_with(SLOT);
        // A slot without a package is free.
        if package == 0 {
            continue;
        }
        let at = (block as usize).checked_mul(BLOCK)?;
        let header = content.get(at..at.checked_add(BLOB_HEADER)?)?;
        let length = usize::try_from(le32(header, 12)?).ok()?;
        let blob = content.get(at + BLOB_HEADER..)?.get(..length)?;
        if !header.starts_with(BLOB) || le32(header, 4)? != package {
            whole = false;
            continue;
        }
        found.push(blob.to_vec());
    }
    whole.then_some(())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A database with one package.
    pub(in super::super) fn database(header: &[u8]) -> Vec<u8> {
        let mut file = [MAGIC, &0_u32.to_le_bytes(), &1_u32.to_le_bytes(), &1_u32.to_le_bytes()].concat();
        file.resize(FILE_HEADER, 0);
        for number in 0..(SLOT_PAGE - FILE_HEADER) / SLOT_SIZE {
            file.extend_from_slice(SLOT);
            let used = [7_u32, (SLOT_PAGE / BLOCK) as u32, 1];
            let slot = if number == 1 { used } else { [0; 3] };
            slot.iter().for_each(|value| file.extend_from_slice(&value.to_le_bytes()));
        }
        file.extend_from_slice(BLOB);
        for value in [7, 1, header.len() as u32] {
            file.extend_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(header);
        file
    }
}
