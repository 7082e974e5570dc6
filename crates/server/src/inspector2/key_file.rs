//! Keys that were given out, in a file of the state folder.
//!
//! Verifying a signature needs the secret, so it cannot be kept as a hash; it is sealed under a key that lies in another file,
//! together with whose it is and what he may do (see `docs/adr/0013-secrets-of-keys-are-sealed.md`).

use super::keys::{Key, KeyStore, Principal, Role};
use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use base64::{Engine, engine::general_purpose::STANDARD};
use lestrade_model::{Scope, Timestamp};
use lestrade_wire::sigv4::SecretKey;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use uuid::Uuid;

/// Why keys cannot be read or given out.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// The file is not what was written.
    #[error("the file of keys is damaged")]
    Damaged(#[from] serde_json::Error),
    /// A key was sealed under another secret, or changed since.
    #[error("a key in the file of keys was changed, or sealed under another secret")]
    Sealed,
}

impl From<Unspecified> for KeyFileError {
    fn from(_: Unspecified) -> Self {
        Self::Sealed
    }
}

/// A key that was given out, without its secret.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedKey {
    /// Its id.
    pub id: String,
    /// Its holder's name.
    pub name: String,
    /// The holder's role, as it is written.
    pub role: String,
    /// Whose keys these are.
    pub scope: Scope,
    /// Other accounts that the holder sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// When it was given out.
    pub created: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    issued: IssuedKey,
    nonce: String,
    sealed: String,
}

/// What a file held when it was last read, and what tells that it is another now.
#[derive(Default)]
struct Held {
    version: Option<(u64, i64, i64)>,
    keys: HashMap<String, Key>,
}

/// The keys of a file. It is read again when it is another: who is revoked is out at once.
pub struct KeyFile {
    path: PathBuf,
    secret: [u8; 32],
    held: RwLock<Held>,
}

impl KeyFile {
    /// The keys in a file, sealed under 32 random bytes. There need not be one yet.
    #[must_use]
    pub fn new(path: PathBuf, secret: [u8; 32]) -> Self {
        Self { path, secret, held: RwLock::default() }
    }

    /// Gives out a key: its id, and its secret, which is not to be had again.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn create(&self, holder: &Principal, now: Timestamp) -> Result<(String, String), KeyFileError> {
        let id = format!("AKIA{}", &Uuid::new_v4().simple().to_string().to_uppercase()[..16]);
        let mut random = [0; 30];
        aws_lc_rs::rand::fill(&mut random)?;
        let secret = STANDARD.encode(random);
        let issued = IssuedKey {
            id: id.clone(),
            name: holder.name.clone(),
            role: holder.role.as_str().to_owned(),
            scope: holder.scope.clone(),
            members: holder.members.iter().map(|member| member.account.clone()).collect(),
            created: now,
        };
        let mut sealed = secret.clone().into_bytes();
        let nonce = self.sealer()?.seal_in_place_append_tag(Aad::from(serde_json::to_vec(&issued)?), &mut sealed)?;
        let mut entries = self.entries()?;
        entries.push(Entry { issued, nonce: STANDARD.encode(nonce.as_ref()), sealed: STANDARD.encode(sealed) });
        self.write(&entries)?;
        Ok((id, secret))
    }

    /// The keys that were given out and not revoked.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn list(&self) -> Result<Vec<IssuedKey>, KeyFileError> {
        Ok(self.entries()?.into_iter().map(|entry| entry.issued).collect())
    }

    /// Revokes a key; answers whether there was one.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn revoke(&self, id: &str) -> Result<bool, KeyFileError> {
        let mut entries = self.entries()?;
        let before = entries.len();
        entries.retain(|entry| entry.issued.id != id);
        if entries.len() == before {
            return Ok(false);
        }
        self.write(&entries)?;
        Ok(true)
    }

    fn sealer(&self) -> Result<RandomizedNonceKey, KeyFileError> {
        Ok(RandomizedNonceKey::new(&AES_256_GCM, &self.secret)?)
    }

    fn entries(&self) -> Result<Vec<Entry>, KeyFileError> {
        match std::fs::read(&self.path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whole or not at all, and for the owner alone.
    fn write(&self, entries: &[Entry]) -> Result<(), KeyFileError> {
        let unfinished = self.path.with_extension(format!("{}.part", Uuid::new_v4().simple()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
        file.write_all(&serde_json::to_vec_pretty(entries)?)?;
        file.sync_all()?;
        Ok(std::fs::rename(&unfinished, &self.path)?)
    }

    fn unsealed(&self) -> Result<HashMap<String, Key>, KeyFileError> {
        let sealer = self.sealer()?;
        let open = |Entry { issued, nonce, sealed }: Entry| {
            let decode = |text: &str| STANDARD.decode(text).map_err(|_| KeyFileError::Sealed);
            let nonce = Nonce::try_assume_unique_for_key(&decode(&nonce)?)?;
            let mut sealed = decode(&sealed)?;
            let secret = sealer.open_in_place(nonce, Aad::from(serde_json::to_vec(&issued)?), &mut sealed)?;
            let secret = String::from_utf8(secret.to_vec()).map_err(|_| KeyFileError::Sealed)?;
            let role = Role::named(&issued.role).ok_or(KeyFileError::Sealed)?;
            let member = |account: &String| Scope::new(&issued.scope.partition, account, &issued.scope.region);
            let members = issued.members.iter().map(member).collect::<Result<_, _>>().map_err(|_| KeyFileError::Sealed)?;
            let principal = Principal { name: issued.name, scope: issued.scope, members, role };
            Ok((issued.id, Key { secret: SecretKey::new(secret), principal }))
        };
        self.entries()?.into_iter().map(open).collect()
    }
}

fn version(path: &Path) -> Option<(u64, i64, i64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

impl KeyStore for KeyFile {
    fn find(&self, access_key: &str) -> Option<Key> {
        let now = version(&self.path);
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        if held.version == now {
            return held.keys.get(access_key).cloned();
        }
        drop(held);
        // A file that cannot be believed lets nobody in.
        let keys = self.unsealed().unwrap_or_else(|error| {
            tracing::error!(%error, "no key of the file of keys is in force");
            HashMap::new()
        });
        let found = keys.get(access_key).cloned();
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held { version: now, keys };
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn file(folder: &Path) -> KeyFile {
        KeyFile::new(folder.join("keys.json"), [7; 32])
    }

    fn scope() -> Scope {
        Scope::new("aws", "111122223333", "eu-west-1").unwrap()
    }

    fn ann(role: Role) -> Principal {
        let member = Scope::new("aws", "444455556666", "eu-west-1").unwrap();
        Principal { name: "ann".into(), scope: scope(), members: vec![member], role }
    }

    #[test]
    fn keys_are_in_force_from_their_creation_to_their_revocation() {
        let folder = tempfile::tempdir().unwrap();
        let (server, command) = (file(folder.path()), file(folder.path()));
        assert!(server.find("AKIA").is_none());
        let (id, secret) = command.create(&ann(Role::Triager), Timestamp::default()).unwrap();
        let key = server.find(&id).unwrap();
        assert_eq!(key.principal, ann(Role::Triager));
        let text = std::fs::read_to_string(folder.path().join("keys.json")).unwrap();
        assert!(!text.contains(&secret), "{text}");
        assert_eq!(std::fs::metadata(folder.path().join("keys.json")).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(command.list().unwrap().len(), 1);
        assert!(command.revoke(&id).unwrap() && !command.revoke(&id).unwrap());
        assert!(server.find(&id).is_none());
    }

    #[test]
    fn a_file_that_was_changed_lets_nobody_in() {
        let folder = tempfile::tempdir().unwrap();
        let (id, _) = file(folder.path()).create(&ann(Role::Viewer), Timestamp::default()).unwrap();
        assert!(KeyFile::new(folder.path().join("keys.json"), [8; 32]).find(&id).is_none(), "another secret");
        let path = folder.path().join("keys.json");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("viewer", "admin")).unwrap();
        assert!(file(folder.path()).find(&id).is_none(), "a role that was raised");
    }
}
