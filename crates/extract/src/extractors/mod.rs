//! The extractors, one file for each kind of package.

mod apk;
mod archives;
mod cargo_lock;
mod composer_lock;
mod dpkg;
mod gem_lock;
mod go_binary;
mod go_mod;
mod jar;
mod npm;
mod os_release;
pub(crate) mod programs;
mod python;
mod python_archive;
mod python_lock;
mod rust_binary;
mod unread;
mod yarn_lock;

use crate::Extractor;

/// All of them.
#[must_use]
pub fn all() -> &'static [&'static dyn Extractor] {
    &[
        &os_release::OsReleaseFile,
        &dpkg::Dpkg,
        &apk::Apk,
        &python::InstalledPython,
        &python_lock::PythonLock,
        &npm::PackageLock,
        &npm::InstalledNode,
        &yarn_lock::YarnLock,
        &cargo_lock::CargoLock,
        &gem_lock::GemfileLock,
        &composer_lock::ComposerLock,
        &go_mod::GoMod,
        &go_binary::GoBinary,
        &rust_binary::RustBinary,
        &jar::Jar,
        &python_archive::PackedPython,
        &unread::Unread,
    ]
}

/// Reads one file with the extractors that want it, for tests.
#[cfg(test)]
pub(crate) fn read(path: &str, content: &str) -> crate::FileReport {
    read_bytes(path, content.as_bytes())
}

/// The same, of any bytes.
#[cfg(test)]
pub(crate) fn read_bytes(path: &str, content: &[u8]) -> crate::FileReport {
    crate::Extractors::new(all()).read(path, content)
}

/// The packages of a file as `name version`, for tests.
#[cfg(test)]
pub(crate) fn packages(path: &str, content: &str) -> Vec<String> {
    let report = read(path, content);
    report.found.iter().map(|found| format!("{} {}", found.name, found.version)).collect()
}
