//! Results of layers that were read before, by the digest that was computed and the extractors that read them.

use crate::LayerReport;
use lestrade_model::Hash;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

/// Keeps results of layers. A cache may forget; it must never give what it was not given.
pub trait LayerCache: Send + Sync {
    /// The result kept under a key.
    fn get(&self, key: &str) -> Option<LayerReport>;

    /// Keeps a result. Failing to is no error: it will be read again.
    fn put(&self, key: &str, report: &LayerReport);
}

/// How many bytes a folder holds before the results that were not used for longest are let go, and how often it is looked at.
const MOST: u64 = 1 << 30;
const EVERY: usize = 500;

/// A folder of results, each a file of its own with a checksum. Bounded: what was not used for longest goes first.
#[derive(Debug)]
pub struct DirectoryCache {
    folder: PathBuf,
    most: u64,
    puts: AtomicUsize,
}

impl DirectoryCache {
    /// The cache in a folder, which need not exist yet.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::bounded(folder, MOST)
    }

    fn bounded(folder: impl Into<PathBuf>, most: u64) -> Self {
        Self { folder: folder.into(), most, puts: AtomicUsize::new(0) }
    }

    /// Lets go of the results that were not used for longest until the others fit. What cannot be removed stays.
    fn prune(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "layer"))
            .filter_map(|entry| {
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        let mut held = 0;
        for (_, size, path) in files {
            held += size;
            if held > self.most {
                let _ = fs::remove_file(path);
            }
        }
    }

    fn file(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{}.layer", Hash::of(key.as_bytes())))
    }
}

impl LayerCache for DirectoryCache {
    fn get(&self, key: &str) -> Option<LayerReport> {
        let path = self.file(key);
        let bytes = fs::read(&path).ok()?;
        let (checksum, body) = bytes.split_at_checked(32)?;
        // The key is part of what is checked: a file that was moved under another name is not believed.
        let expected = Hash::of_fields([key.as_bytes(), body]);
        if expected.as_bytes() != checksum {
            return None;
        }
        // Used now: it is let go later than others.
        let _ = fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        postcard::from_bytes(body).ok()
    }

    fn put(&self, key: &str, report: &LayerReport) {
        let Ok(body) = postcard::to_stdvec(report) else { return };
        if self.puts.fetch_add(1, Ordering::Relaxed).is_multiple_of(EVERY) {
            self.prune();
        }
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

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DirectoryCache::new(folder.path());
        for key in ["a", "b", "c"] {
            cache.put(key, &LayerReport::default());
            let hours = if key == "a" { 1 } else { 2 };
            let then = SystemTime::now() - std::time::Duration::from_secs(3600 * hours);
            fs::File::options().append(true).open(cache.file(key)).unwrap().set_modified(then).unwrap();
        }
        let size = fs::metadata(cache.file("a")).unwrap().len();
        assert!(cache.get("c").is_some());
        DirectoryCache::bounded(folder.path(), 2 * size).prune();
        assert_eq!(["a", "b", "c"].map(|key| cache.get(key).is_some()), [true, false, true]);
    }
}
