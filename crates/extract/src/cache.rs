//! Results of layers that were read before, by the digest that was computed and the extractors that read them.

use crate::LayerReport;
use lestrade_model::Hash;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// Keeps results of layers. A cache may forget; it must never give what it was not given.
pub trait LayerCache: Send + Sync {
    /// The result kept under a key.
    fn get(&self, key: &str) -> Option<LayerReport>;

    /// Keeps a result. Failing to is no error: it will be read again.
    fn put(&self, key: &str, report: &LayerReport);
}

/// A folder of results, each a file of its own with a checksum.
#[derive(Debug)]
pub struct DirectoryCache {
    folder: PathBuf,
}

impl DirectoryCache {
    /// The cache in a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{}.layer", Hash::of(key.as_bytes())))
    }
}

impl LayerCache for DirectoryCache {
    fn get(&self, key: &str) -> Option<LayerReport> {
        let bytes = fs::read(self.file(key)).ok()?;
        let (checksum, body) = bytes.split_at_checked(32)?;
        // The key is part of what is checked: a file that was moved under another name is not believed.
        let expected = Hash::of_fields([key.as_bytes(), body]);
        if expected.as_bytes() != checksum {
            return None;
        }
        postcard::from_bytes(body).ok()
    }

    fn put(&self, key: &str, report: &LayerReport) {
        let Ok(body) = postcard::to_stdvec(report) else { return };
        let checksum = Hash::of_fields([key.as_bytes(), body.as_slice()]);
        let _ = fs::create_dir_all(&self.folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(checksum.as_bytes())?;
            file.write_all(&body)?;
            file.persist(self.file(key)).map_err(std::io::Error::other)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_put_is_given() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DirectoryCache::new(folder.path());
        let report = LayerReport { whiteouts: vec!["a".into()], ..LayerReport::default() };
        cache.put("k", &report);
        assert_eq!(cache.get("k"), Some(report));
        assert_eq!(cache.get("other"), None);
        fs::copy(cache.file("k"), cache.file("other")).unwrap();
        assert_eq!(cache.get("other"), None, "another key's result is not believed");
        fs::write(cache.file("k"), b"short").unwrap();
        assert_eq!(cache.get("k"), None);
    }
}
