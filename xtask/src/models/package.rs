//! The published package that the models come from, pinned by its digest.

use anyhow::{Context, Result, bail};
use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::process::Command;
use zip::ZipArchive;

/// The release of botocore.
pub const VERSION: &str = "1.44.5";
/// The SHA-256 of its wheel.
pub const SHA256: &str = "8f16a56d1dff125dd65322ae021efa7ba5195a6db5102b96862566055b748921";

/// No model is larger than this, inflated.
const LIMIT: u64 = 64 << 20;

/// The opened wheel.
pub struct Package(ZipArchive<File>);

/// Downloads the wheel with pip and opens it if its digest is the pinned one.
pub fn open() -> Result<Package> {
    let folder = tempfile::tempdir()?;
    let status = Command::new("python3")
        .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(folder.path())
        .arg(format!("botocore=={VERSION}"))
        .status()
        .context("python3 -m pip")?;
    if !status.success() {
        bail!("pip could not download botocore {VERSION}");
    }
    let wheel = folder.path().join(format!("botocore-{VERSION}-py3-none-any.whl"));
    let bytes = std::fs::read(&wheel).with_context(|| wheel.display().to_string())?;
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest != SHA256 {
        bail!("the wheel's sha256 is {digest}, not the pinned {SHA256}");
    }
    Ok(Package(ZipArchive::new(File::open(&wheel)?)?))
}

impl Package {
    /// A model of the package.
    pub fn model(&mut self, path: &str) -> Result<Value> {
        let file = self.0.by_name(path).with_context(|| format!("the package has no {path}"))?;
        serde_json::from_reader(GzDecoder::new(file).take(LIMIT)).with_context(|| path.to_owned())
    }
}
