//! Bundles: a generation of intelligence, or the way from an earlier one to it, in one signed file. They cross an air gap, and they
//! are what a mirror serves.
//!
//! ```text
//! LESTRADE-BUNDLE 1
//! {"generation":…,"id":…,"since":…,"made":…,"expires":…,"payload":…,"key":…}
//! <ed25519 (RFC 8032) over the two lines above, in base64>
//! <the payload, compressed by Zstandard: an index, or the changes that lead to one>
//! ```
//!
//! The head names the payload's hash, so that one signature holds for all of it. Nothing of the head is believed before its
//! signature was checked against a key that the reader was given beforehand. Equal records make equal bytes, so that a way leads
//! to a generation of the same name as where it was made, or is refused.

use crate::AdvisoriesError;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use lestrade_matching::{AdvisoryIndex, IndexChanges, Manifest, build_index_with};
use lestrade_model::{Family, Hash, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{Read, Write};

const MAGIC: &str = "LESTRADE-BUNDLE 1";
/// The longest head, signature included.
pub(crate) const MAX_HEAD: usize = 64 << 10;
/// The largest payload, unpacked.
const MAX_UNPACKED: u64 = 8 << 30;
/// How far another machine's clock may be ahead.
const AHEAD_MILLIS: i64 = 24 * 60 * 60 * 1000;
const LEVEL: i32 = 6;

/// A key that bundles are trusted by, as text: base64 of the 32 bytes of an ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BundleKey(String);

impl BundleKey {
    /// A key by its text; none when it is not one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        BASE64.decode(text).is_ok_and(|bytes| bytes.len() == 32).then(|| Self(text.to_owned()))
    }

    fn bytes(&self) -> Vec<u8> {
        BASE64.decode(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for BundleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Signs bundles.
pub struct BundleSigner(Ed25519KeyPair);

impl BundleSigner {
    /// The signer of a secret seed.
    ///
    /// # Errors
    /// When the seed makes no key.
    pub fn new(seed: &[u8; 32]) -> Result<Self, AdvisoriesError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        pair.map(Self).map_err(|_| AdvisoriesError::Bundle("there is no key to sign with".into()))
    }

    /// What readers have to trust.
    #[must_use]
    pub fn key(&self) -> BundleKey {
        BundleKey(BASE64.encode(self.0.public_key().as_ref()))
    }
}

/// A generation by its number and the hash of its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number where it was made.
    pub number: u64,
    /// The hash of its bytes.
    pub id: String,
}

/// What a bundle says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleHead {
    /// Where it leads to.
    pub generation: Generation,
    /// Where it has to be begun; none for a whole one.
    pub since: Option<Generation>,
    /// The families whose packages it speaks of; empty for all.
    pub ecosystems: BTreeSet<String>,
    /// When it was made.
    pub made: Timestamp,
    /// From when on it is not to be taken any more.
    pub expires: Timestamp,
    /// The BLAKE3 hash of the payload as it is sent.
    payload: String,
    /// The payload's length as it is sent, and unpacked.
    length: u64,
    unpacked: u64,
    /// Who signs.
    pub key: BundleKey,
}

/// What is put into a bundle.
pub(crate) struct BundleContent<'a> {
    /// The index.
    pub(crate) index: &'a [u8],
    /// The one that it is to follow on; none for a whole bundle.
    pub(crate) since: Option<&'a [u8]>,
    /// The families that were left in; empty when all were.
    pub(crate) ecosystems: BTreeSet<String>,
}

/// Makes a bundle.
///
/// # Errors
/// When an index is corrupt or the bundle cannot be written.
pub(crate) fn write_bundle(
    content: &BundleContent<'_>,
    signer: &BundleSigner,
    made: Timestamp,
    expires: Timestamp,
    out: &mut dyn Write,
) -> Result<BundleHead, AdvisoriesError> {
    let index = AdvisoryIndex::open(content.index)?;
    let named = |bytes: &[u8], manifest: &Manifest| Generation { number: manifest.generation, id: Hash::of(bytes).to_string() };
    let (plain, since) = match content.since {
        None => (None, None),
        Some(bytes) => {
            let older = AdvisoryIndex::open(bytes)?;
            let changes = index.changes_since(&older)?;
            let plain = postcard::to_stdvec(&changes).map_err(|_| AdvisoriesError::Bundle("its changes cannot be written".into()))?;
            (Some(plain), Some(named(bytes, older.manifest())))
        }
    };
    let plain = plain.as_deref().unwrap_or(content.index);
    let failed = |error: std::io::Error| AdvisoriesError::Bundle(format!("it cannot be written: {error}"));
    let payload = zstd::stream::encode_all(plain, LEVEL).map_err(failed)?;
    let head = BundleHead {
        generation: named(content.index, index.manifest()),
        since,
        ecosystems: content.ecosystems.clone(),
        made,
        expires,
        payload: Hash::of(&payload).to_string(),
        length: payload.len() as u64,
        unpacked: plain.len() as u64,
        key: signer.key(),
    };
    out.write_all(sign(&head, signer)?.as_bytes()).and_then(|()| out.write_all(&payload)).and_then(|()| out.flush()).map_err(failed)?;
    Ok(head)
}

fn sign(head: &BundleHead, signer: &BundleSigner) -> Result<String, AdvisoriesError> {
    let line = serde_json::to_string(head).map_err(|error| AdvisoriesError::Bundle(error.to_string()))?;
    let signed = format!("{MAGIC}\n{line}\n");
    let signature = BASE64.encode(signer.0.sign(signed.as_bytes()).as_ref());
    Ok(format!("{signed}{signature}\n"))
}

/// Whether bytes are the beginning of a bundle.
#[must_use]
pub fn is_bundle(beginning: &[u8]) -> bool {
    beginning.starts_with(b"LESTRADE-BUNDLE ")
}

/// Reads a bundle's head, once its signature holds. What follows in `from` is the payload.
///
/// # Errors
/// When it is no bundle, its key is not one of those, its signature does not hold, or it is of another time.
pub(crate) fn read_head(from: &mut dyn Read, trusted: &[BundleKey], now: Timestamp) -> Result<BundleHead, AdvisoriesError> {
    let refused = |reason: &str| AdvisoriesError::Bundle(reason.to_owned());
    let mut left = MAX_HEAD;
    let mut line = || -> Result<String, AdvisoriesError> {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0];
            let read = from.read(&mut byte).map_err(|error| AdvisoriesError::Bundle(error.to_string()))?;
            left = left.checked_sub(1).ok_or_else(|| refused("it is no bundle: its head does not end"))?;
            match byte[0] {
                _ if read == 0 => return Err(refused("it is no bundle: its head is cut off")),
                b'\n' => return String::from_utf8(bytes).map_err(|_| refused("it is no bundle: its head is no text")),
                byte => bytes.push(byte),
            }
        }
    };
    if line()? != MAGIC {
        return Err(refused("it is no bundle that this version reads"));
    }
    let (text, signature) = (line()?, line()?);
    // Which key it claims is all that is read before its signature holds.
    let head: BundleHead =
        serde_json::from_str(&text).map_err(|error| AdvisoriesError::Bundle(format!("its head cannot be read: {error}")))?;
    if !trusted.contains(&head.key) {
        return Err(AdvisoriesError::Bundle(format!("it is signed by {}, which is not trusted here", head.key)));
    }
    let signature = BASE64.decode(&signature).map_err(|_| refused("its signature is none"))?;
    UnparsedPublicKey::new(&ED25519, head.key.bytes())
        .verify(format!("{MAGIC}\n{text}\n").as_bytes(), &signature)
        .map_err(|_| refused("its signature does not hold"))?;
    if head.made > now.plus_millis(AHEAD_MILLIS) {
        return Err(AdvisoriesError::Bundle(format!("it was made at {}, which is not yet", head.made)));
    }
    if head.expires <= now {
        return Err(AdvisoriesError::Bundle(format!("it ended at {}", head.expires)));
    }
    Ok(head)
}

/// Reads the payload that a head promises.
///
/// # Errors
/// When it is another one: cut, longer, changed.
pub(crate) fn read_payload(head: &BundleHead, from: &mut dyn Read) -> Result<Vec<u8>, AdvisoriesError> {
    let refused = |reason: &str| AdvisoriesError::Bundle(reason.to_owned());
    if head.length > MAX_UNPACKED || head.unpacked > MAX_UNPACKED {
        return Err(refused("it is larger than 8 GiB"));
    }
    let mut packed = Vec::new();
    from.take(head.length + 1).read_to_end(&mut packed).map_err(|error| AdvisoriesError::Bundle(error.to_string()))?;
    if packed.len() as u64 != head.length || Hash::of(&packed).to_string() != head.payload {
        return Err(refused("its payload is not the one that was signed"));
    }
    let mut plain = Vec::new();
    let decoder = zstd::stream::read::Decoder::new(packed.as_slice()).map_err(|_| refused("its payload cannot be unpacked"))?;
    decoder.take(head.unpacked + 1).read_to_end(&mut plain).map_err(|_| refused("its payload cannot be unpacked"))?;
    if plain.len() as u64 != head.unpacked {
        return Err(refused("its payload is not as long as it says"));
    }
    Ok(plain)
}

/// The index that a bundle leads to, from the one that it follows on.
///
/// # Errors
/// When it follows on another one, or does not lead to where it says.
pub(crate) fn lead(head: &BundleHead, payload: Vec<u8>, from: Option<&[u8]>) -> Result<Vec<u8>, AdvisoriesError> {
    let bytes = match (&head.since, from) {
        (None, _) => payload,
        (Some(since), Some(from)) if Hash::of(from).to_string() == since.id => {
            let changes: IndexChanges =
                postcard::from_bytes(&payload).map_err(|_| AdvisoriesError::Bundle("its changes cannot be read".into()))?;
            let older = AdvisoryIndex::open(from)?;
            changes.lead_from(&older)?
        }
        (Some(since), _) => {
            return Err(AdvisoriesError::Bundle(format!("it follows on generation {}, which is not the one in force here", since.number)));
        }
    };
    if Hash::of(&bytes).to_string() != head.generation.id {
        return Err(AdvisoriesError::Bundle("it does not lead to the generation that it names".into()));
    }
    let index = AdvisoryIndex::open(bytes.as_slice())?;
    index.verify()?;
    drop(index);
    Ok(bytes)
}

/// The part of an index that speaks of some families' packages, with what is known of the exploitation of their vulnerabilities.
/// Records without packages go along where they are about one of those.
///
/// # Errors
/// When the index is corrupt.
pub(crate) fn part_of<B: AsRef<[u8]>>(index: &AdvisoryIndex<B>, families: &BTreeSet<Family>) -> Result<Vec<u8>, AdvisoriesError> {
    let mut of_family = Vec::new();
    let mut general = Vec::new();
    for advisory in index.advisories()? {
        let advisory = advisory?;
        if advisory.affected.is_empty() {
            general.push(advisory);
        } else if advisory.affected.iter().any(|affected| families.contains(&affected.ecosystem.family)) {
            of_family.push(advisory);
        }
    }
    let wanted: BTreeSet<String> = of_family.iter().flat_map(|advisory| advisory.vulnerabilities()).map(str::to_owned).collect();
    general.retain(|advisory| advisory.vulnerabilities().into_iter().any(|id| wanted.contains(id)));
    let mut exploitation = BTreeMap::new();
    for known in index.exploitations()? {
        let (id, known) = known?;
        if wanted.contains(&id) {
            exploitation.insert(id, known);
        }
    }
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    of_family.iter().chain(&general).for_each(|advisory| *counts.entry(&advisory.key.feed).or_default() += 1);
    let mut manifest = index.manifest().clone();
    manifest.feeds.retain_mut(|state| match counts.get(state.feed.as_str()) {
        Some(records) => {
            state.records = *records;
            true
        }
        // What is known of exploitation is no record.
        None => !exploitation.is_empty() && !counts.is_empty() && matches!(state.feed.as_str(), "epss" | "kev"),
    });
    manifest.quarantined.clear();
    Ok(build_index_with(of_family.into_iter().chain(general), &exploitation, manifest)?)
}
