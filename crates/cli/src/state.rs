//! The state folder: the secrets of this server, and where it says that it runs.

use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use lestrade_model::Scope;
use lestrade_server::inspector2::{Key, KeyFile, Principal, Role};
use lestrade_wire::sigv4::SecretKey;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The file of the first key, as AWS's clients read it.
pub(crate) const CREDENTIALS: &str = "aws-credentials";
/// The file in which a server notes where it listens.
pub(crate) const ADDRESS: &str = "api-address";
/// The file of the native API's token.
pub(crate) const TOKEN: &str = "api-token";

/// The largest file beside the store that a backup takes with it: 1 MiB.
const SMALL: u64 = 1 << 20;

/// A state folder that is there.
pub(crate) struct StateFolder(PathBuf);

impl StateFolder {
    /// The settings' folder; one that is not there is made.
    pub(crate) fn open(settings: &Settings) -> Result<Self, Failure> {
        let folder = Self(settings.path("state-dir"));
        std::fs::create_dir_all(&folder.0).map_err(|error| folder.failure(&error))?;
        Ok(folder)
    }

    /// What a user is told when something in it cannot be read or written.
    pub(crate) fn failure(&self, error: &std::io::Error) -> Failure {
        Failure::new("E0320", Exit::Input, format!("the state in '{}' cannot be kept", self.0.display())).cause(error)
    }

    /// A file of it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// 32 random bytes that stay the same from start to start.
    pub(crate) fn secret_bytes(&self, name: &str) -> std::io::Result<[u8; 32]> {
        secret_bytes(&self.join(name))
    }

    /// The key of the first start, as lines that a shell exports.
    pub(crate) fn first_key(&self) -> std::io::Result<String> {
        let text = std::fs::read_to_string(self.join(CREDENTIALS))?;
        let value = |name: &str| text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().strip_prefix('=')?.trim().to_owned()));
        let export = |name: &str| value(name).map(|value| format!("  export {}={value}\n", name.to_uppercase()));
        Ok(["aws_access_key_id", "aws_secret_access_key"].into_iter().filter_map(export).collect())
    }

    /// The keys that were given out.
    pub(crate) fn key_file(&self) -> std::io::Result<KeyFile> {
        Ok(KeyFile::new(self.join("keys.json"), self.secret_bytes("keys.secret")?))
    }

    /// The keys in the AWS credentials file. On the first start one is made.
    pub(crate) fn credentials(&self, scope: &Scope) -> std::io::Result<HashMap<String, Key>> {
        credentials(&self.join(CREDENTIALS), scope)
    }

    /// A token of the server, that of the native API or another: made at the first start, for whoever may read the folder.
    pub(crate) fn token(&self, name: &str) -> std::io::Result<String> {
        let path = self.join(name);
        remove_unwritten(&path)?;
        if !path.exists() {
            let token = format!("lestrade_{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
            write_secret(&path, token.as_bytes())?;
        }
        Ok(std::fs::read_to_string(path)?.trim().to_owned())
    }

    /// Writes a file that only its owner may read, in place of the one that is there.
    pub(crate) fn write_private(&self, name: &str, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o600)).tempfile_in(&self.0)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.join(name)).map(drop).map_err(|error| error.error)
    }

    /// The small files of the folder that a backup takes with it: keys and what else the server cannot make anew.
    pub(crate) fn small_files(&self) -> std::io::Result<Vec<(String, Vec<u8>)>> {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let entry = entry?;
            let (Ok(name), metadata) = (entry.file_name().into_string(), entry.metadata()?) else { continue };
            let is_own = name.starts_with("state.") || name == ADDRESS;
            if metadata.is_file() && !is_own && metadata.len() <= SMALL {
                files.push((name, std::fs::read(entry.path())?));
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    /// Puts a file of a backup back. Its name is one of a file directly in the folder, or it is none of ours.
    pub(crate) fn put_back(&self, name: &str, content: &[u8]) -> std::io::Result<()> {
        let is_plain = Path::new(name).components().count() == 1 && Path::new(name).file_name().is_some_and(|own| own == name);
        if !is_plain || name.starts_with("state.") {
            return Err(std::io::Error::other("the backup has a file that is none of ours"));
        }
        self.write_private(name, content)
    }

    /// Notes where the server listens, for the commands that ask it.
    pub(crate) fn note_address(&self, bound: SocketAddr) -> std::io::Result<()> {
        // Whoever asks meanwhile reads the one or the other.
        let unfinished = self.join(&format!("{ADDRESS}.part"));
        std::fs::write(&unfinished, format!("http://{bound}\n"))?;
        std::fs::rename(unfinished, self.join(ADDRESS))
    }
}

fn secret_bytes(path: &Path) -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    remove_unwritten(path)?;
    match File::open(path) {
        Ok(mut file) => file.read_exact(&mut bytes)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            File::open("/dev/urandom")?.read_exact(&mut bytes)?;
            write_secret(path, &bytes)?;
        }
        Err(error) => return Err(error),
    }
    Ok(bytes)
}

/// Makes a file that only its owner may read, where none is. It is there whole or not at all, whenever the power is cut.
pub(crate) fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o600)).tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Removes a file that is empty: one that an earlier build had begun to write when the power was cut. Nobody was told what it was to
/// hold.
fn remove_unwritten(path: &Path) -> std::io::Result<()> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() == 0 => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

fn credentials(path: &Path, scope: &Scope) -> std::io::Result<HashMap<String, Key>> {
    remove_unwritten(path)?;
    if !path.exists() {
        let secret = uuid::Uuid::new_v4().simple().to_string() + &uuid::Uuid::new_v4().simple().to_string();
        let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
        let text = format!("[default]\naws_access_key_id = AKIA{}\naws_secret_access_key = {}\n", &id[..16], &secret[..40]);
        write_secret(path, text.as_bytes())?;
    }
    if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        return Err(std::io::Error::other(format!("'{}' can be read by others; chmod 600 it", path.display())));
    }
    let text = std::fs::read_to_string(path)?;
    let mut keys = HashMap::new();
    let (mut name, mut id) = ("default".to_owned(), None);
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            (name, id) = (section.trim().to_owned(), None);
        } else if let Some((key, value)) = line.split_once('=') {
            match (key.trim(), &id) {
                ("aws_access_key_id", _) => id = Some(value.trim().to_owned()),
                ("aws_secret_access_key", Some(id)) => {
                    let principal = Principal { name: name.clone(), scope: scope.clone(), members: vec![], role: Role::Administrator };
                    keys.insert(id.clone(), Key { secret: SecretKey::new(value.trim().to_owned()), principal });
                }
                _ => {}
            }
        }
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The power may have been cut between making a file and writing it.
    #[test]
    fn secrets_that_were_never_written_are_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFolder(folder.path().to_owned());
        let scope = Scope::new("aws", "111122223333", "eu-west-1").unwrap();
        for name in ["api-token", "keys.secret", CREDENTIALS] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(state.token("api-token").unwrap().len() > 32);
        assert_ne!(state.secret_bytes("keys.secret").unwrap(), [0; 32]);
        assert_eq!(state.credentials(&scope).unwrap().len(), 1);
        // From then on they stay, and only their owner reads them.
        assert_eq!(state.token("api-token").unwrap(), state.token("api-token").unwrap());
        assert_eq!(state.secret_bytes("keys.secret").unwrap(), state.secret_bytes("keys.secret").unwrap());
        for name in ["api-token", "keys.secret", CREDENTIALS] {
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        assert!(write_secret(&folder.path().join("api-token"), b"another").is_err(), "what is there is not written over");
    }
}
