//! The extractors, one file for each kind of package.

mod apk;
mod cargo_lock;
mod composer_lock;
mod dpkg;
mod gem_lock;
mod go_mod;
mod npm;
mod os_release;
mod python;
mod python_lock;
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
        &unread::Unread,
    ]
}

/// Reads one file with one extractor, for tests.
#[cfg(test)]
pub(crate) fn read(path: &str, content: &str) -> crate::FileReport {
    crate::Extractors::new(all()).read(path, content.as_bytes())
}

/// The packages of a file as `name version`, for tests.
#[cfg(test)]
pub(crate) fn packages(path: &str, content: &str) -> Vec<String> {
    let report = read(path, content);
    report.found.iter().map(|found| format!("{} {}", found.name, found.version)).collect()
}
