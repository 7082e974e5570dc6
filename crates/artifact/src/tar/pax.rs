//! PAX records: what an extended header says of the entry after it.

/// The records that change how an entry is read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) sparse: bool,
}

impl Pax {
    /// Parses `length key=value\n` records; none when any is not of that form. An empty value takes the key's effect back.
    pub(super) fn parse(mut records: &[u8]) -> Option<Self> {
        let mut pax = Self::default();
        let mut sparse_name = None;
        while !records.is_empty() {
            let blank = records.iter().take(20).position(|&b| b == b' ')?;
            let length: usize = std::str::from_utf8(records.get(..blank)?).ok()?.parse().ok()?;
            let record = records.get(blank + 1..length)?.strip_suffix(b"\n")?;
            records = records.get(length..)?;
            let equals = record.iter().position(|&b| b == b'=')?;
            let (key, value) = (record.get(..equals)?, record.get(equals + 1..)?);
            let given = (!value.is_empty()).then_some(value);
            match key {
                b"path" => pax.path = given.map(<[u8]>::to_vec),
                b"linkpath" => pax.link = given.map(<[u8]>::to_vec),
                b"size" => pax.size = given.map(number).transpose().ok()?,
                b"GNU.sparse.name" => sparse_name = given.map(<[u8]>::to_vec),
                _ => {}
            }
            pax.sparse |= key.starts_with(b"GNU.sparse.");
        }
        // A sparse entry's `path` is a name made up for readers that do not know of sparse entries.
        if sparse_name.is_some() {
            pax.path = sparse_name;
        }
        Some(pax)
    }
}

fn number(digits: &[u8]) -> Result<u64, ()> {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).ok_or(())
}

#[cfg(test)]
mod tests {
    use super::Pax;

    /// A record with its length in front.
    fn record(text: &str) -> String {
        let length = (1..).find(|n| n.to_string().len() + text.len() + 2 == *n).unwrap();
        format!("{length} {text}\n")
    }

    #[test]
    fn records_are_read_by_their_length() {
        let records = ["path=a=b\nc", "size=512", "linkpath=target", "mtime=1.5"].map(record).concat();
        let want = Pax { path: Some(b"a=b\nc".to_vec()), link: Some(b"target".to_vec()), size: Some(512), sparse: false };
        assert_eq!(Pax::parse(records.as_bytes()), Some(want));
        let cleared = ["path=a", "size=1", "path=", "size="].map(record).concat();
        assert_eq!(Pax::parse(cleared.as_bytes()), Some(Pax::default()));
        assert_eq!(Pax::parse(b""), Some(Pax::default()));
    }

    #[test]
    fn what_is_not_a_record_is_refused() {
        let sizes = ["size=-1", "size=x", "size=99999999999999999999", "size"].map(record);
        for wrong in ["x", "5 a\n", "99 path=a\n", "-1 a=b\n", "0 a=b\n", "8 path=ab"].into_iter().chain(sizes.iter().map(String::as_str)) {
            assert_eq!(Pax::parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn sparse_entries_have_their_name_elsewhere() {
        let pax = Pax::parse(["path=GNUSparseFile.0/a", "GNU.sparse.name=a"].map(record).concat().as_bytes()).unwrap();
        assert_eq!((pax.path.as_deref(), pax.sparse), (Some(&b"a"[..]), true));
    }
}
