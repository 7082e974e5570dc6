//! What a worker says of a bill of materials while it reads it, and how that is put together: records come in parts, and count when the
//! worker has said which of its lists is the document's.

use lestrade_model::{Ecosystem, Manager, OsRelease, PackedInventory, PackedPart, Packer, Problem};
use lestrade_sys::NotTaken;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};

/// The lists that are kept apart until it is known what the document is.
pub(super) const CYCLONEDX: usize = 0;
pub(super) const SPDX: usize = 1;
const LISTS: usize = 2;

/// The largest message but for its records.
const LARGEST: usize = 256 << 20;

/// Something that is said.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Message {
    /// More of a list; so many bytes of records follow.
    Part { list: u8, ecosystems: Vec<Ecosystem>, texts: Vec<String>, managers: Vec<Manager>, records: u32 },
    /// A list begins anew.
    Clear { list: u8 },
    /// What ecosystems of a list turned out to be.
    Replace { list: u8, ecosystems: Vec<(u32, Ecosystem)> },
    /// Which list counts, and what else there is to say; or why it is no document, in one clause.
    End(Result<Whole, String>),
}

/// What is said of a document as a whole.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Whole {
    pub(super) list: u8,
    pub(super) os: Option<OsRelease>,
    pub(super) problems: Vec<Problem>,
}

impl Message {
    /// More of a list.
    pub(super) fn part(list: usize, part: PackedPart) -> (Self, Vec<u8>) {
        let PackedPart { ecosystems, texts, managers, records } = part;
        (Self::Part { list: list as u8, ecosystems, texts, managers, records: records.len() as u32 }, records)
    }

    /// Says it.
    pub(super) fn write(&self, records: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let mut bytes = postcard::to_extend(self, vec![0; 4]).map_err(io::Error::other)?;
        let length = u32::try_from(bytes.len() - 4).map_err(io::Error::other)?;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(records);
        out.write_all(&bytes)
    }
}

/// Puts together what is said. It is read as the hostile input that it may be.
#[derive(Default)]
pub(crate) struct Assembling {
    heard: Vec<u8>,
    lists: [Packer; LISTS],
    whole: Option<Result<Whole, String>>,
}

impl Assembling {
    /// Hears more.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<(), NotTaken> {
        self.heard.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(length) = self.message(at)? {
            at += length;
        }
        self.heard.drain(..at);
        Ok(())
    }

    /// Takes the message that begins at a place in what was heard; answers how long it is, none if it is not all there.
    fn message(&mut self, at: usize) -> Result<Option<usize>, NotTaken> {
        let rest = &self.heard[at..];
        let Some((length, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let length = u32::from_le_bytes(*length) as usize;
        if length > LARGEST || self.whole.is_some() {
            return Err(NotTaken);
        }
        let Some((message, rest)) = rest.split_at_checked(length) else { return Ok(None) };
        let mut taken = 4 + length;
        match postcard::from_bytes(message).map_err(|_| NotTaken)? {
            Message::Part { list, ecosystems, texts, managers, records } => {
                let Some(records) = rest.get(..records as usize) else { return Ok(None) };
                taken += records.len();
                let list = self.lists.get_mut(usize::from(list)).ok_or(NotTaken)?;
                list.append(PackedPart { ecosystems, texts, managers, records: Vec::new() }, records).map_err(|_| NotTaken)?;
                if list.len() > super::MAX_ENTRIES {
                    return Err(NotTaken);
                }
            }
            Message::Clear { list } => *self.lists.get_mut(usize::from(list)).ok_or(NotTaken)? = Packer::default(),
            Message::Replace { list, ecosystems } => {
                let list = self.lists.get_mut(usize::from(list)).ok_or(NotTaken)?;
                ecosystems.into_iter().for_each(|(number, ecosystem)| list.replace(number, ecosystem));
            }
            Message::End(whole) => self.whole = Some(whole),
        }
        Ok(Some(taken))
    }

    /// The inventory, or why there is none; none if not all was said.
    pub(crate) fn finish(self) -> Option<Result<PackedInventory, String>> {
        let whole = match self.whole? {
            Ok(whole) => whole,
            Err(why) => return Some(Err(why)),
        };
        let list = self.lists.into_iter().nth(usize::from(whole.list))?;
        list.finish(whole.os, whole.problems).ok().map(Ok)
    }
}
