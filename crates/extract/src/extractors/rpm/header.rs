//! An rpm header: an index of tags and the data that they point into (rpm's "Package format", header section without its preamble).

use super::bytes::be32;

pub(super) const NAME: u32 = 1000;
pub(super) const VERSION: u32 = 1001;
pub(super) const RELEASE: u32 = 1002;
pub(super) const EPOCH: u32 = 1003;
pub(super) const VENDOR: u32 = 1011;
pub(super) const ARCH: u32 = 1022;
const OLD_FILE_NAMES: u32 = 1027;
pub(super) const SOURCE_RPM: u32 = 1044;
const DIRECTORY_INDEXES: u32 = 1116;
const BASE_NAMES: u32 = 1117;
const DIRECTORY_NAMES: u32 = 1118;
pub(super) const MODULARITY_LABEL: u32 = 5096;

const ENTRY: usize = 16;
/// The most tags, and files, of one package.
const MAX_TAGS: u32 = 65_536;
const MAX_FILES: usize = 10_000_000;

/// A header, over its bytes.
pub(super) struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

impl<'a> Header<'a> {
    /// A header whose lengths fit its bytes.
    pub(super) fn read(blob: &'a [u8]) -> Option<Self> {
        let (tags, length) = (be32(blob, 0)?, be32(blob, 4)?);
        let index_length = usize::try_from(tags).ok().filter(|_| 0 < tags && tags <= MAX_TAGS)? * ENTRY;
        let index = blob.get(8..8 + index_length)?;
        let data = blob.get(8 + index_length..)?.get(..usize::try_from(length).ok()?)?;
        Some(Self { index, data })
    }

    /// Where a tag's data begins, and how many values it has.
    fn find(&self, tag: u32) -> Option<(&'a [u8], u32)> {
        let entry = self.index.chunks_exact(ENTRY).find(|entry| be32(entry, 0) == Some(tag))?;
        Some((self.data.get(usize::try_from(be32(entry, 8)?).ok()?..)?, be32(entry, 12)?))
    }

    /// A tag's first text; empty if there is none.
    pub(super) fn text(&self, tag: u32) -> String {
        self.find(tag).and_then(|(data, _)| texts(data).next()).unwrap_or_default()
    }

    /// A tag's first number.
    pub(super) fn number(&self, tag: u32) -> Option<u32> {
        be32(self.find(tag)?.0, 0)
    }

    /// The paths that the package owns.
    pub(super) fn files(&self, each: &mut dyn FnMut(&str)) {
        if let Some((names, count)) = self.find(OLD_FILE_NAMES) {
            texts(names).take((count as usize).min(MAX_FILES)).for_each(|path| each(&path));
            return;
        }
        let (Some((names, count)), Some((folders, folder_count)), Some((indexes, _))) =
            (self.find(BASE_NAMES), self.find(DIRECTORY_NAMES), self.find(DIRECTORY_INDEXES))
        else {
            return;
        };
        let folders: Vec<String> = texts(folders).take((folder_count as usize).min(MAX_FILES)).collect();
        for (number, name) in texts(names).take((count as usize).min(MAX_FILES)).enumerate() {
            let folder = be32(indexes, number * 4).and_then(|folder| folders.get(folder as usize));
            if let Some(folder) = folder {
                each(&format!("{folder}{name}"));
            }
        }
    }
}

/// Texts that end in a NUL, one after another; what does not end is none.
fn texts(data: &[u8]) -> impl Iterator<Item = String> + '_ {
    let mut rest = data;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|&byte| byte == 0)?;
        let text = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[end + 1..];
        Some(text)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The header of a package that owns a file.
    pub(in super::super) fn blob(name: &str, version: &str, release: &str, epoch: u32) -> Vec<u8> {
        blob_of("Red Hat, Inc.", name, version, release, epoch)
    }

    /// The same of a vendor.
    pub(in super::super) fn blob_of(vendor: &str, name: &str, version: &str, release: &str, epoch: u32) -> Vec<u8> {
        let source = format!("{name}-{version}-{release}.src.rpm");
        let label = format!("{name}:5:8040:abc:x86_64");
        let texts = [
            (MODULARITY_LABEL, label.as_str()),
            (NAME, name),
            (VERSION, version),
            (RELEASE, release),
            (VENDOR, vendor),
            (ARCH, "x86_64"),
            (SOURCE_RPM, &source),
        ];
        let (mut index, mut data) = (Vec::new(), Vec::new());
        let mut entry = |tag: u32, kind: u32, bytes: &[u8], count: u32| {
            for number in [tag, kind, data.len() as u32, count] {
                index.extend_from_slice(&number.to_be_bytes());
            }
            data.extend_from_slice(bytes);
        };
        for (tag, text) in texts {
            entry(tag, 6, format!("{text}\0").as_bytes(), 1);
        }
        entry(EPOCH, 4, &epoch.to_be_bytes(), 1);
        entry(DIRECTORY_INDEXES, 4, &[0, 0, 0, 1], 1);
        entry(BASE_NAMES, 8, b"METADATA\0", 1);
        entry(DIRECTORY_NAMES, 8, b"/bin/\0/usr/lib/x.dist-info/\0", 2);
        [&((index.len() / ENTRY) as u32).to_be_bytes()[..], &(data.len() as u32).to_be_bytes(), &index, &data].concat()
    }

    #[test]
    fn tags_and_files() {
        let blob = blob("bash", "5", "1", 3);
        let header = Header::read(&blob).unwrap();
        assert_eq!((header.text(NAME).as_str(), header.number(EPOCH), header.text(9999).as_str()), ("bash", Some(3), ""));
        let mut files = Vec::new();
        header.files(&mut |path| files.push(path.to_owned()));
        assert_eq!(files, ["/usr/lib/x.dist-info/METADATA"]);
    }

    #[test]
    fn lengths_that_lie_are_no_header() {
        assert!(Header::read(&[0xff; 64]).is_none());
        assert!(Header::read(&[]).is_none());
    }
}
