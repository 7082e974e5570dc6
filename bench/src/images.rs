//! Real images: Debian 12 from the distribution's own packages, with a Python and a Node layer on top. Built once.

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a slim image has beside apt.
const BASE: &str = "ca-certificates,curl,openssl,libssl3,libxml2,libpq5,procps,less";
/// What a build image has beside that.
const LARGE: &str = "build-essential,python3-dev,python3-pip,git,default-jdk,imagemagick,ffmpeg,libgtk-3-dev,libmagickwand-dev,\
                     libpq-dev,subversion,mercurial,nodejs";
const PYTHON: &[&str] = &[
    "django==4.2.*",
    "flask==2.3.*",
    "requests==2.31.*",
    "numpy==1.26.*",
    "pandas==2.1.*",
    "sqlalchemy==2.0.*",
    "celery==5.3.*",
    "redis==5.0.*",
    "boto3==1.34.*",
    "pydantic==2.6.*",
    "fastapi==0.110.*",
    "uvicorn==0.27.*",
    "gunicorn==21.*",
    "jinja2==3.1.*",
    "pillow==10.2.*",
    "cryptography==42.*",
    "pyyaml==6.*",
    "lxml==5.1.*",
    "aiohttp==3.9.*",
    "httpx==0.27.*",
    "pytest==8.*",
    "rich==13.*",
    "psycopg2-binary==2.9.*",
    "alembic==1.13.*",
    "marshmallow==3.*",
];
const NODE: &[&str] = &[
    "express@4",
    "lodash@4",
    "axios@1",
    "react@18",
    "react-dom@18",
    "webpack@5",
    "typescript@5",
    "eslint@8",
    "jest@29",
    "mongoose@7",
    "socket.io@4",
    "moment@2",
    "uuid@9",
    "winston@3",
    "passport@0.6",
    "jsonwebtoken@9",
    "knex@2",
    "sequelize@6",
    "pg@8",
    "ws@8",
    "commander@11",
    "chalk@4",
    "yargs@17",
    "date-fns@2",
    "rxjs@7",
];

/// An image in the two forms that it is measured in.
pub(crate) struct BenchImage {
    /// What it is called in tables.
    pub(crate) name: &'static str,
    /// What `docker save` writes: layers as plain tars.
    pub(crate) archive: PathBuf,
    /// An OCI layout: layers gzipped, level 6.
    pub(crate) layout: PathBuf,
    /// Its layers' tars, lowest first.
    pub(crate) tars: Vec<PathBuf>,
    /// The same, gzipped.
    pub(crate) blobs: Vec<PathBuf>,
}

/// Both images.
pub(crate) fn images(folder: &Path) -> Result<Vec<BenchImage>> {
    let build = folder.join("build");
    fs::create_dir_all(&build)?;
    let base = root(&build, "base", BASE)?;
    let large = root(&build, "large", &format!("{BASE},{LARGE}"))?;
    let upper = once(&build.join("large-upper.tar"), |path| difference(&base, &large, path))?;
    let python = once(&build.join("python.tar"), |path| python_layer(&build, path))?;
    let node = once(&build.join("node.tar"), |path| node_layer(&build, path))?;
    let images = [
        ("Debian 12, slim", "slim", vec![base.clone(), python.clone(), node.clone()]),
        ("Debian 12, build", "build", vec![base, upper, python, node]),
    ];
    images.into_iter().map(|(name, file, tars)| pack(name, &folder.join("images").join(file), tars)).collect()
}

/// Makes a file once; a half-made one never gets its name.
fn once(path: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    if !path.exists() {
        eprintln!("building {}", path.display());
        let partial = path.with_extension("partial.tar");
        make(&partial)?;
        fs::rename(&partial, path)?;
    }
    Ok(path.to_owned())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{} is needed", command.get_program().display()))?;
    ensure!(output.status.success(), "{}: {}", command.get_program().display(), String::from_utf8_lossy(&output.stderr));
    Ok(())
}

fn root(build: &Path, name: &str, include: &str) -> Result<PathBuf> {
    once(&build.join(format!("{name}.tar")), |path| {
        let mut command = Command::new("mmdebstrap");
        // Files of one package get one time in every root, so that two roots share what they share.
        command.env("SOURCE_DATE_EPOCH", "1790000000").args(["--variant=apt", "--quiet"]).arg(format!("--include={include}"));
        run(command.arg("bookworm").arg(path))
    })
}

/// The upper layer of a root over another: the entries that are new or other, as `apt-get install` in a build leaves them.
fn difference(lower: &Path, upper: &Path, path: &Path) -> Result<()> {
    let mut known = HashSet::new();
    for entry in tar::Archive::new(BufReader::new(File::open(lower)?)).entries()? {
        let entry = entry?;
        known.insert((entry.path_bytes().into_owned(), entry.header().as_bytes().to_vec()));
    }
    let mut builder = tar::Builder::new(BufWriter::new(File::create(path)?));
    for entry in tar::Archive::new(BufReader::new(File::open(upper)?)).entries()? {
        let mut entry = entry?;
        let name = entry.path_bytes().into_owned();
        if known.contains(&(name.clone(), entry.header().as_bytes().to_vec())) {
            continue;
        }
        let mut header = entry.header().clone();
        let shown = entry.path()?.into_owned();
        match entry.link_name()? {
            Some(target) => builder.append_link(&mut header, shown, target)?,
            None => builder.append_data(&mut header, shown, &mut entry)?,
        }
    }
    Ok(builder.into_inner()?.flush()?)
}

fn python_layer(build: &Path, path: &Path) -> Result<()> {
    let folder = build.join("python");
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--no-compile", "--target"]).arg(&folder);
    run(command.args(PYTHON))?;
    tar_of(&folder, "opt/app/python", path)
}

fn node_layer(build: &Path, path: &Path) -> Result<()> {
    let folder = build.join("node");
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("package.json"), r#"{"name": "app", "version": "1.0.0"}"#)?;
    let mut command = Command::new("npm");
    command.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    run(command.args(NODE))?;
    tar_of(&folder, "srv/app", path)
}

fn tar_of(folder: &Path, prefix: &str, path: &Path) -> Result<()> {
    let mut builder = tar::Builder::new(BufWriter::new(File::create(path)?));
    builder.mode(tar::HeaderMode::Deterministic);
    builder.follow_symlinks(false);
    builder.append_dir_all(prefix, folder)?;
    Ok(builder.into_inner()?.flush()?)
}

/// Hashes what is written through it.
struct HashedWriter<W> {
    inner: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for HashedWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes an image in both forms.
fn pack(name: &'static str, folder: &Path, tars: Vec<PathBuf>) -> Result<BenchImage> {
    let (archive, layout) = (folder.join("docker.tar"), folder.join("oci"));
    let listing = folder.join("layers.json");
    let store = layout.join("blobs/sha256");
    if !listing.exists() {
        eprintln!("packing {name}");
        fs::create_dir_all(&store)?;
        let (mut diff_ids, mut layers) = (Vec::new(), Vec::new());
        for tar in &tars {
            let mut hash = HashedWriter { inner: io::sink(), hash: Sha256::new(), bytes: 0 };
            io::copy(&mut File::open(tar)?, &mut hash)?;
            diff_ids.push(format!("sha256:{}", hex(hash.hash)));
            let partial = store.join("partial");
            let mut encoder =
                GzEncoder::new(HashedWriter { inner: File::create(&partial)?, hash: Sha256::new(), bytes: 0 }, Compression::new(6));
            io::copy(&mut File::open(tar)?, &mut encoder)?;
            let done = encoder.finish()?;
            let (digest, bytes) = (hex(done.hash), done.bytes);
            fs::rename(&partial, store.join(&digest))?;
            layers.push((digest, bytes));
        }
        write_forms(&archive, &layout, &tars, &diff_ids, &layers)?;
        fs::write(&listing, serde_json::to_vec(&layers)?)?;
    }
    let layers: Vec<(String, u64)> = serde_json::from_slice(&fs::read(&listing)?)?;
    let blobs = layers.iter().map(|(digest, _)| store.join(digest)).collect();
    Ok(BenchImage { name, archive, layout, tars, blobs })
}

fn write_forms(archive: &Path, layout: &Path, tars: &[PathBuf], diff_ids: &[String], layers: &[(String, u64)]) -> Result<()> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let history: Vec<_> = diff_ids.iter().map(|_| json!({"created_by": "bench"})).collect();
    let config = serde_json::to_vec(
        &json!({"architecture": architecture, "os": "linux", "config": {}, "history": history, "rootfs": {"type": "layers", "diff_ids": diff_ids}}),
    )?;
    let digest = |bytes: &[u8]| hex(Sha256::new_with_prefix(bytes));
    let descriptor = |kind: &str, digest: &str, size: u64| json!({"mediaType": format!("application/vnd.oci.image.{kind}"), "digest": format!("sha256:{digest}"), "size": size});
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("config.v1+json", &digest(&config), config.len() as u64),
        "layers": layers.iter().map(|(digest, size)| descriptor("layer.v1.tar+gzip", digest, *size)).collect::<Vec<_>>(),
    }))?;
    for document in [&config, &manifest] {
        fs::write(layout.join("blobs/sha256").join(digest(document)), document)?;
    }
    let index = json!({"schemaVersion": 2, "manifests": [descriptor("manifest.v1+json", &digest(&manifest), manifest.len() as u64)]});
    fs::write(layout.join("index.json"), serde_json::to_vec(&index)?)?;
    fs::write(layout.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#)?;

    let mut builder = tar::Builder::new(BufWriter::new(File::create(archive)?));
    let mut names = Vec::new();
    for (tar, diff_id) in tars.iter().zip(diff_ids) {
        let name = format!("{}/layer.tar", &diff_id["sha256:".len()..]);
        builder.append_file(&name, &mut File::open(tar)?)?;
        names.push(name);
    }
    let named = format!("{}.json", digest(&config));
    let manifest = serde_json::to_vec(&json!([{"Config": named, "RepoTags": ["bench:latest"], "Layers": names}]))?;
    for (name, bytes) in [(named.as_str(), &config), ("manifest.json", &manifest)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, bytes.as_slice())?;
    }
    Ok(builder.into_inner()?.flush()?)
}
