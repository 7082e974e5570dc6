//! Windows: which product it is, its build, and which updates are installed, by the registry hive `SOFTWARE`.
//!
//! The product and the build are in the key `CurrentVersion`; what was installed is in that of component-based servicing, a key for each
//! package with its state. A package's files lie on the disk also before it is installed and after it was taken away, so that the
//! state is what tells.

mod hive;

use crate::{ExtractError, Extractor, ExtractorId, Found, InventorySink, Origin, WantedFile};
use hive::{Broken, Hive, Key};
use lestrade_artifact::Size;
use lestrade_model::{Kb, Manager, OsRelease, WindowsArchitecture, WindowsInstallation, windows_product_of};
use std::collections::BTreeSet;

const VERSION: &str = "Microsoft\\Windows NT\\CurrentVersion";
const PACKAGES: &str = "Microsoft\\Windows\\CurrentVersion\\Component Based Servicing\\Packages";
/// States of packages in which their files are the system's: installed, permanent, and replaced by a later one that is installed.
const PRESENT: [u32; 3] = [112, 128, 80];

pub(super) struct Windows;

impl Extractor for Windows {
    fn id(&self) -> ExtractorId {
        ExtractorId { name: "windows", version: 1 }
    }

    fn wants(&self) -> &'static [&'static str] {
        // Names are told apart by case here and not on the disk that they are from.
        &["{Windows,WINDOWS,windows}/{System32,SYSTEM32,system32}/{config,Config,CONFIG}/{SOFTWARE,Software,software}"]
    }

    fn largest(&self) -> Size {
        Size::Large
    }

    fn extract(&self, file: &WantedFile<'_>, out: &mut dyn InventorySink) -> Result<(), ExtractError> {
        let hive = Hive::open(file.content).map_err(|broken| match broken {
            Broken::NotAHive => ExtractError::Malformed("it is no registry hive".into()),
            Broken::Cut => ExtractError::Truncated("the registry hive ends before it should".into()),
        })?;
        let version = hive.key(VERSION).ok_or_else(|| ExtractError::Malformed("it does not say which Windows it is of".into()))?;
        if hive.is_behind {
            let detail = "the registry was written to when it was copied: changes in its log are not read";
            out.problem(ExtractError::Unsupported(detail.into()));
        }
        let system = System::read(&hive, version)?;
        let updates = match hive.key(PACKAGES) {
            Some(packages) => installed(&hive, packages),
            None => {
                out.problem(ExtractError::Malformed("it does not say which updates are installed".into()));
                BTreeSet::new()
            }
        };
        let product = windows_product_of(system.build, system.installation, system.architecture);
        if product.is_none() {
            let detail = format!("Windows of build {} is none of those whose updates are known", system.build);
            out.problem(ExtractError::Unsupported(detail));
        }
        let name = product.clone().unwrap_or_else(|| system.name.clone());
        out.os(OsRelease { id: "windows".into(), version: product.unwrap_or_default(), pretty_name: system.name });
        let updates: Vec<String> = updates.iter().map(ToString::to_string).collect();
        out.found(Found {
            origin: Origin::OperatingSystem,
            name,
            version: system.version,
            source: None,
            arch: Some(system.arch),
            module: (!updates.is_empty()).then(|| updates.join(" ")),
            manager: Manager::WindowsServicing,
        });
        Ok(())
    }
}

/// What a system says of itself.
struct System {
    /// For people.
    name: String,
    /// `10.0.20348.1487`.
    version: String,
    build: u32,
    installation: WindowsInstallation,
    architecture: WindowsArchitecture,
    arch: String,
}

impl System {
    fn read(hive: &Hive<'_>, key: Key<'_>) -> Result<Self, ExtractError> {
        let missing = |what: &str| ExtractError::Malformed(format!("it does not say {what}"));
        let text = |value: &str| hive.text(key, value).filter(|text| !text.is_empty());
        let build = text("CurrentBuildNumber").or_else(|| text("CurrentBuild")).and_then(|build| build.parse().ok());
        let build: u32 = build.ok_or_else(|| missing("its build"))?;
        let line = match (hive.number(key, "CurrentMajorVersionNumber"), hive.number(key, "CurrentMinorVersionNumber")) {
            (Some(major), Some(minor)) => format!("{major}.{minor}"),
            // Before Windows 10 there were no such numbers, and since then this one stands still.
            _ => text("CurrentVersion").ok_or_else(|| missing("its version"))?,
        };
        // How often it was updated; systems before Windows 10 need not have it.
        let revision = hive.number(key, "UBR").map(|revision| format!(".{revision}")).unwrap_or_default();
        let name = text("ProductName").unwrap_or_else(|| "Windows".to_owned());
        let installation = match text("InstallationType").as_deref() {
            Some("Client") => WindowsInstallation::Client,
            Some("Server") => WindowsInstallation::Server,
            Some("Server Core") => WindowsInstallation::ServerCore,
            Some(other) => return Err(ExtractError::Unsupported(format!("Windows as '{other}' is not one whose updates are known"))),
            // The oldest systems do not say it.
            None if name.contains("Server") => WindowsInstallation::Server,
            None => WindowsInstallation::Client,
        };
        // `20348.859.amd64fre.fe_release_svc_prod2.220707-1832`
        let lab = text("BuildLabEx").or_else(|| text("BuildLab")).unwrap_or_default();
        let processors = [("amd64", WindowsArchitecture::X64), ("arm64", WindowsArchitecture::Arm64), ("x86", WindowsArchitecture::X86)];
        let processor = processors.into_iter().find(|(word, _)| lab.split('.').any(|part| part.starts_with(word)));
        let (arch, architecture) = processor.ok_or_else(|| missing("for which processors it is"))?;
        Ok(Self { name, version: format!("{line}.{build}{revision}"), build, installation, architecture, arch: arch.to_owned() })
    }
}

/// The updates whose packages are installed: `Package_for_KB5022352~31bf3856ad364e35~amd64~~6.3.1.8`. Cumulative updates are
/// `Package_for_RollupFix`, without a number: the build tells of them.
fn installed<'a>(hive: &Hive<'a>, packages: Key<'a>) -> BTreeSet<Kb> {
    let update = |(name, key): (String, Key<'a>)| {
        let (package, _) = name.split_once('~')?;
        let update = package.strip_prefix("Package_for_")?.parse().ok()?;
        hive.number(key, "CurrentState").filter(|state| PRESENT.contains(state)).map(|_| update)
    };
    hive.keys_of(packages).filter_map(update).collect()
}

#[cfg(test)]
mod tests;
