//! The generation that an import begins with: it is asked for what is needed, and not read whole.

use crate::feeds::{FeedScope, OSV_FEED};
use lestrade_matching::{AdvisoryIndex, IndexError};
use lestrade_model::{Advisory, AdvisoryKey, Family};
use std::cell::OnceCell;

/// Bytes of an index, mapped or held.
pub(crate) struct Bytes(Box<dyn AsRef<[u8]> + Send + Sync>);

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Of which families the packages of a record are.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Packages {
    /// It names none.
    None,
    /// All of one.
    Of(Family),
    /// Of several.
    Mixed,
}

impl Packages {
    fn and(&mut self, family: &Family) {
        match self {
            Self::None => *self = Self::Of(family.clone()),
            Self::Of(known) if known != family => *self = Self::Mixed,
            Self::Of(_) | Self::Mixed => {}
        }
    }
}

/// A generation, and what was found out about it.
pub(crate) struct Base {
    index: AdvisoryIndex<Bytes>,
    packages: OnceCell<Vec<Packages>>,
}

impl Base {
    pub(crate) fn of(bytes: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, IndexError> {
        Ok(Self { index: AdvisoryIndex::open(Bytes(Box::new(bytes)))?, packages: OnceCell::new() })
    }

    pub(crate) const fn index(&self) -> &AdvisoryIndex<Bytes> {
        &self.index
    }

    pub(crate) fn has(&self, key: &AdvisoryKey) -> Result<bool, IndexError> {
        Ok(self.index.ordinal(key)?.is_some())
    }

    pub(crate) fn advisory(&self, key: &AdvisoryKey) -> Result<Option<Advisory>, IndexError> {
        self.index.ordinal(key)?.map(|ordinal| self.index.advisory(ordinal)).transpose()
    }

    /// Whether a record is a feed's; not if it is not here.
    pub(crate) fn is_in(&self, scope: &FeedScope, key: &AdvisoryKey) -> Result<bool, IndexError> {
        match self.index.ordinal(key)? {
            Some(ordinal) => self.holds(scope, ordinal, &key.feed, &key.id),
            None => Ok(false),
        }
    }

    /// Tells the ids of a feed's records.
    pub(crate) fn each_of(&self, scope: &FeedScope, tell: &mut dyn FnMut(&'static str, &str)) -> Result<(), IndexError> {
        let Some(feed) = scope.feed() else { return Ok(()) };
        for record in self.index.keys_of(feed)? {
            let (ordinal, id) = record?;
            if self.holds(scope, ordinal, feed, id)? {
                tell(feed, id);
            }
        }
        Ok(())
    }

    fn holds(&self, scope: &FeedScope, ordinal: u32, feed: &str, id: &str) -> Result<bool, IndexError> {
        Ok(scope.may_hold(feed, id)
            && match scope {
                FeedScope::Osv(family) => self.packages()?.get(ordinal as usize) == Some(&Packages::Of(family.clone())),
                _ => true,
            })
    }

    /// Of each of OSV's records the families of its packages: those that stand have entries, of the others their bodies tell.
    fn packages(&self) -> Result<&[Packages], IndexError> {
        if let Some(packages) = self.packages.get() {
            return Ok(packages);
        }
        let mut packages = vec![Packages::None; self.index.len()? as usize];
        self.index.each_entry(&mut |ordinal, ecosystem| {
            if let Some(packages) = packages.get_mut(ordinal as usize) {
                packages.and(&ecosystem.family);
            }
        })?;
        for record in self.index.keys_of(OSV_FEED)? {
            let (ordinal, _) = record?;
            if let Some(packages) = packages.get_mut(ordinal as usize).filter(|packages| **packages == Packages::None) {
                self.index.advisory(ordinal)?.affected.iter().for_each(|affected| packages.and(&affected.ecosystem.family));
            }
        }
        Ok(self.packages.get_or_init(|| packages))
    }
}
