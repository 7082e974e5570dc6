//! How long images are watched: those that were pushed lately or are in use. An image that is let go keeps its name and its history; its
//! findings close, and it is read again when somebody uses or pushes it.

use crate::{Core, ServerError};
use lestrade_findings::ResourceEntry;
use lestrade_model::{CoverageReason, ImageDetails, ImageUse, ResourceKey, Timestamp};

const DAY_MS: i64 = 86_400_000;

/// How long images are watched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// Days after the last push; none for ever.
    pub pushed: Option<u32>,
    /// Days after the last use, of those whose push is longer ago.
    pub used: u32,
}

impl Retention {
    /// Whether an image is watched.
    #[must_use]
    pub fn keeps(self, image: &ImageDetails, uses: &[ImageUse], now: Timestamp) -> bool {
        let within = |at: Timestamp, days: u32| now.as_millis() - at.as_millis() <= i64::from(days) * DAY_MS;
        self.pushed.is_none_or(|days| within(image.pushed_at, days))
            || uses.iter().any(|usage| usage.count > 0 || within(usage.last, self.used))
    }
}

/// Whether an image was let go.
pub(crate) fn is_let_go(entry: &ResourceEntry) -> bool {
    !entry.coverage.is_empty() && entry.coverage.iter().all(|coverage| coverage.reason == CoverageReason::ScanEligibilityExpired)
}

impl Core {
    /// Lets go of those of some images that are no longer to be watched; answers whether there were any.
    ///
    /// # Errors
    /// When the store fails.
    pub fn let_go(&self, images: impl Iterator<Item = (ImageDetails, ResourceKey)>, retention: Retention) -> Result<bool, ServerError> {
        let now = self.now();
        let over: Vec<ResourceKey> = {
            let world = self.world();
            let uses = |key: &ResourceKey| world.resource_id(key).map_or(&[][..], |id| world.uses(id));
            images.filter(|(image, key)| !retention.keeps(image, uses(key), now)).map(|(_, key)| key).collect()
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
        let retention = Retention { pushed: Some(14), used: 30 };
        assert!(retention.keeps(&image(14), &[], now) && !retention.keeps(&image(15), &[], now));
        assert!(retention.keeps(&image(90), &usage(0, 30), now) && !retention.keeps(&image(90), &usage(0, 31), now));
        assert!(retention.keeps(&image(90), &usage(1, 90), now), "what runs is in use, however long nobody said so again");
        assert!(Retention::default().keeps(&image(90), &[], now));
    }
}
