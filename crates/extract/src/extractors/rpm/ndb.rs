//! rpm's own database (`Packages.db`): pages of slots that say where in the file each package's header lies (rpm's
//! `lib/backend/ndb`).

use super::bytes::le32;
use super::{Damaged, Each};

pub(super) const MAGIC: &[u8] = b"RpmP";
const SLOT: &[u8] = b"Slot";
const BLOB: &[u8] = b"BlbS";
const SLOT_PAGE: usize = 4096;
const SLOT_SIZE: usize = 16;
/// The file's header takes the place of two slots; blobs lie at multiples of this.
const FILE_HEADER: usize = 32;
const BLOCK: usize = 16;
const BLOB_HEADER: usize = 16;

pub(super) fn headers(content: &[u8], each: Each<'_>) -> Result<(), Damaged> {
    let pages = le32(content, 12).ok_or(Damaged)? as usize;
    let slots = pages.checked_mul(SLOT_PAGE).and_then(|end| content.get(FILE_HEADER..end)).ok_or(Damaged)?;
    let mut whole = true;
    for slot in slots.chunks_exact(SLOT_SIZE) {
        let (package, block) = (le32(slot, 4).ok_or(Damaged)?, le32(slot, 8).ok_or(Damaged)?);
        whole &= slot.starts_with(SLOT);
        // A slot without a package is free.
        if package == 0 {
            continue;
        }
        match blob(content, package, block) {
            Some(blob) => each(blob)?,
            None => whole = false,
        }
    }
    if whole { Ok(()) } else { Err(Damaged) }
}

/// The header of a package that lies at a block.
fn blob(content: &[u8], package: u32, block: u32) -> Option<&[u8]> {
    let at = (block as usize).checked_mul(BLOCK)?;
    let header = content.get(at..at.checked_add(BLOB_HEADER)?)?;
    let length = le32(header, 12)? as usize;
    let blob = content.get(at + BLOB_HEADER..)?.get(..length)?;
    (header.starts_with(BLOB) && le32(header, 4)? == package).then_some(blob)
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
