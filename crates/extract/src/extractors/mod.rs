//! The extractors, one file for each kind of package.

mod apk;
mod archives;
mod bottlerocket;
mod bun_lock;
mod cargo_lock;
mod composer_lock;
mod conan;
mod conda;
mod documents;
mod dotnet;
mod dpkg;
mod gem_lock;
mod gemspec;
mod go_binary;
mod go_mod;
mod gradle;
mod jar;
mod julia;
mod manifests;
mod mix_lock;
mod npm;
pub(crate) mod os_release;
mod other_locks;
mod pacman;
mod pnpm_lock;
mod pom;
pub(crate) mod programs;
mod pub_lock;
mod python;
mod python_archive;
mod python_lock;
mod rpm;
mod rust_binary;
mod swift;
mod windows;
mod yarn_lock;

use crate::Extractor;

/// All of them.
#[must_use]
pub fn all() -> &'static [&'static dyn Extractor] {
    &[
        &os_release::OsReleaseFile,
        &os_release::OldReleaseFile,
        &dpkg::Dpkg,
        &apk::Apk,
        &rpm::Rpm,
        &python::InstalledPython,
        &python_lock::PythonLock,
        &npm::PackageLock,
        &npm::InstalledNode,
        &yarn_lock::YarnLock,
        &pnpm_lock::PnpmLock,
        &bun_lock::BunLock,
        &cargo_lock::CargoLock,
        &gem_lock::GemfileLock,
        &composer_lock::ComposerLock,
        &go_mod::GoMod,
        &go_binary::GoBinary,
        &rust_binary::RustBinary,
        &jar::Jar,
        &python_archive::PackedPython,
        &go_mod::GoSum,
        &gemspec::InstalledGem,
        &pom::Pom,
        &gradle::GradleLock,
        &gradle::SbtLock,
        &dotnet::DotNetDeps,
        &dotnet::NuGet,
        &swift::SwiftResolved,
        &swift::PodfileLock,
        &conan::ConanLock,
        &conda::InstalledConda,
        &conda::CondaEnvironment,
        &mix_lock::MixLock,
        &pub_lock::PubspecLock,
        &julia::JuliaManifest,
        &other_locks::RenvLock,
        &other_locks::HaskellLock,
        &bottlerocket::Bottlerocket,
        &manifests::Manifests,
        &pacman::Pacman,
        &windows::Windows,
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
    let packages = report.found.iter().filter(|found| found.origin != crate::Origin::Needs);
    packages.map(|found| format!("{} {}", found.name, found.version)).collect()
}
