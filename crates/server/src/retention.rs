//! How long images are watched: those that were pushed lately or are in use. An image that is let go keeps its name and its history; its
//! findings close, and it is read again when somebody uses or pushes it.

use crate::{Core, ServerError};
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, ImageDetails, ImageUse, ResourceKey, Timestamp};

pub(crate) const DAY_MS: i64 = 86_400_000;

/// Whether something was not longer ago than so many days.
pub(crate) fn is_within(at: Timestamp, days: u32, now: Timestamp) -> bool {
    now.as_millis() - at.as_millis() <= i64::from(days) * DAY_MS
}

/// By what it is known that an image is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastUse {
    /// It runs, as clusters say.
    #[default]
    Run,
    /// It was pulled, as its registry says.
    Pull,
}

/// How long images are watched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Days after the last push; none for ever.
    pub pushed: Option<u32>,
    /// Days after the last use, of those whose push is longer ago.
    pub used: u32,
    /// What a use is.
    pub by: LastUse,
}

impl Retention {
    /// The same, by what runs: a registry that does not say when an image was pulled cannot be judged by that.
    #[must_use]
    pub const fn by_runs(self) -> Self {
        Self { by: LastUse::Run, ..self }
    }

    /// Whether an image is watched, that runs there and was pulled last then.
    #[must_use]
    pub fn keeps(self, image: &ImageDetails, uses: &[ImageUse], pulled: Option<Timestamp>, now: Timestamp) -> bool {
        self.pushed.is_none_or(|days| is_within(image.pushed_at, days, now))
            || match self.by {
                LastUse::Run => uses.iter().any(|usage| usage.count > 0 || is_within(usage.last, self.used, now)),
                LastUse::Pull => pulled.is_some_and(|at| is_within(at, self.used, now)),
            }
    }
}

/// Whether an image was let go.
pub(crate) fn is_let_go(entry: &ResourceEntry) -> bool {
    !entry.coverage.is_empty() && entry.coverage.iter().all(|coverage| coverage.reason == CoverageReason::ScanEligibilityExpired)
}

impl Core {
    /// Lets go of those of some images that are no longer to be watched, by where they run; answers whether there were any.
    ///
    /// # Errors
    /// When the store fails.
    pub fn let_go(&self, images: impl Iterator<Item = (ImageDetails, ResourceKey)>, retention: Retention) -> Result<bool, ServerError> {
        let now = self.now();
        let over: Vec<ResourceKey> = {
            let world = self.world();
            let uses = |key: &ResourceKey| world.resource_id(key).map_or(&[][..], |id| world.uses(id));
            images.filter(|(image, key)| !retention.by_runs().keeps(image, uses(key), None, now)).map(|(_, key)| key).collect()
        };
        over.iter().try_fold(false, |any, key| Ok(any | self.forget(key, CoverageReason::ScanEligibilityExpired)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lately_pushed_or_in_use() {
        let now = Timestamp::from_millis(100 * DAY_MS);
        let ago = |days: i64| Timestamp::from_millis(now.as_millis() - days * DAY_MS);
        let image = |days| ImageDetails { pushed_at: ago(days), ..ImageDetails::default() };
        let usage = |count, days| vec![ImageUse { cluster: "prod".into(), count, last: ago(days) }];
        let retention = Retention { pushed: Some(14), used: 30, by: LastUse::Run };
        let keeps = |image: &ImageDetails, uses: &[ImageUse]| retention.keeps(image, uses, None, now);
        assert!(keeps(&image(14), &[]) && !keeps(&image(15), &[]));
        assert!(keeps(&image(90), &usage(0, 30)) && !keeps(&image(90), &usage(0, 31)));
        assert!(keeps(&image(90), &usage(1, 90)), "what runs is in use, however long nobody said so again");
        assert!(Retention::default().keeps(&image(90), &[], None, now));
        let pulled = Retention { by: LastUse::Pull, ..retention };
        assert!(pulled.keeps(&image(90), &[], Some(ago(30)), now) && !pulled.keeps(&image(90), &[], Some(ago(31)), now));
        assert!(pulled.keeps(&image(14), &[], None, now) && !pulled.keeps(&image(90), &usage(1, 0), None, now));
    }
}
