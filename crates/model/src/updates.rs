//! Updates of Windows: which are installed in a system, and which of them mend a vulnerability.
//!
//! Microsoft names an update by the article of its knowledge base. An update brings what those brought that it supersedes, and what
//! these superseded; that is said of one product at a time (MSRC's CVRF documents, `Remediation/Supercedence`).

use crate::{Component, Family};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// The longest chain of updates that is kept of one remedy: monthly updates of twenty years, and twice that.
const MAX_LATER: usize = 512;

/// An update, by the number of its article: `KB5034129`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Kb(u32);

impl fmt::Display for Kb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KB{}", self.0)
    }
}

impl FromStr for Kb {
    type Err = ();

    /// `KB5034129`, or the number alone. Articles have five to eight digits.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim();
        let digits = text.strip_prefix("KB").or_else(|| text.strip_prefix("kb")).unwrap_or(text);
        let is_article = (5..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
        if is_article { digits.parse().map(Self).map_err(|_| ()) } else { Err(()) }
    }
}

impl Kb {
    /// Every article that a text names: publishers separate them by whatever comes to mind.
    pub fn all_in(text: &str) -> impl Iterator<Item = Self> + '_ {
        text.split(|c: char| !c.is_ascii_alphanumeric()).filter_map(|word| word.parse().ok())
    }
}

/// One update that mends a vulnerability in a product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remedy {
    /// The update.
    pub update: Kb,
    /// The updates that it supersedes in this product.
    pub supersedes: BTreeSet<Kb>,
    /// Of an update that patches a running system: the build that it leads to. Later builds of the other line need not have the
    /// fix although their numbers are higher, so only this very build tells.
    pub hotpatch: Option<String>,
}

/// The updates each of which mends a vulnerability in a product, the one to be recommended first, and those that came after them.
///
/// It is kept in [`Affected::module`](crate::Affected::module), which the index holds once however many entries have the same:
/// `KB5034129<KB5033118 KB5034439=10.0.20348.2220;KB5034770`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedies {
    /// Any one of these is enough.
    pub remedies: Vec<Remedy>,
    /// Updates that supersede one of them, over however many others.
    pub later: BTreeSet<Kb>,
}

impl Remedies {
    /// Reads what [`fmt::Display`] wrote; what is no update is passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let (remedies, later) = text.split_once(';').unwrap_or((text, ""));
        let remedy = |word: &str| {
            let (word, hotpatch) = word.split_once('=').map_or((word, None), |(word, build)| (word, Some(build.to_owned())));
            let (update, supersedes) = word.split_once('<').unwrap_or((word, ""));
            Some(Remedy { update: update.parse().ok()?, supersedes: Kb::all_in(supersedes).collect(), hotpatch })
        };
        Self { remedies: remedies.split(' ').filter_map(remedy).collect(), later: Kb::all_in(later).take(MAX_LATER).collect() }
    }

    /// Whether a system with these updates, at this build, has one of the remedies.
    #[must_use]
    pub fn are_met_by(&self, installed: &BTreeSet<Kb>, build: &str) -> bool {
        let has = |remedy: &Remedy| installed.contains(&remedy.update) || remedy.hotpatch.as_deref() == Some(build);
        self.remedies.iter().any(has) || !self.later.is_disjoint(installed)
    }
}

impl fmt::Display for Remedies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, remedy) in self.remedies.iter().enumerate() {
            let before = if place == 0 { "" } else { " " };
            write!(f, "{before}{}", remedy.update)?;
            for (place, superseded) in remedy.supersedes.iter().enumerate() {
                write!(f, "{}{superseded}", if place == 0 { "<" } else { "," })?;
            }
            if let Some(build) = &remedy.hotpatch {
                write!(f, "={build}")?;
            }
        }
        for (place, update) in self.later.iter().enumerate() {
            write!(f, "{}{update}", if place == 0 { ";" } else { " " })?;
        }
        Ok(())
    }
}

/// Which updates of a product supersede which, as all remedies of it together tell.
#[derive(Clone, Debug, Default)]
pub struct Supersedence {
    /// By an update, those that say that they supersede it.
    by: BTreeMap<Kb, BTreeSet<Kb>>,
}

impl Supersedence {
    /// Learns what remedies say. That an update supersedes itself says nothing.
    pub fn learn(&mut self, remedies: &Remedies) {
        for remedy in &remedies.remedies {
            for superseded in remedy.supersedes.iter().filter(|superseded| **superseded != remedy.update) {
                self.by.entry(*superseded).or_default().insert(remedy.update);
            }
        }
    }

    /// The updates that supersede one of these remedies, over however many others; where they go round in a circle, each once. Of
    /// more than 512 the nearest.
    #[must_use]
    pub fn later_than(&self, remedies: &Remedies) -> BTreeSet<Kb> {
        let own: BTreeSet<Kb> = remedies.remedies.iter().map(|remedy| remedy.update).collect();
        let mut later = BTreeSet::new();
        let mut near: BTreeSet<Kb> = own.clone();
        while !near.is_empty() && later.len() < MAX_LATER {
            let next: BTreeSet<Kb> = near.iter().filter_map(|update| self.by.get(update)).flatten().copied().collect();
            near = next.into_iter().filter(|update| !own.contains(update) && later.insert(*update)).collect();
        }
        while later.len() > MAX_LATER {
            later.pop_last();
        }
        later
    }
}

impl Component {
    /// The same component, a system in which these updates are installed.
    #[must_use]
    pub fn with_updates(mut self, installed: &BTreeSet<Kb>) -> Self {
        let names: Vec<String> = installed.iter().map(ToString::to_string).collect();
        self.module = (!names.is_empty()).then(|| names.join(" "));
        self
    }

    /// The updates that are installed in it; none of what is not Windows.
    #[must_use]
    pub fn updates(&self) -> BTreeSet<Kb> {
        match &self.module {
            Some(installed) if self.ecosystem.family == Family::Windows => Kb::all_in(installed).collect(),
            _ => BTreeSet::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ecosystem;

    fn kb(number: u32) -> Kb {
        Kb(number)
    }

    fn remedies(text: &str) -> Remedies {
        Remedies::parse(text)
    }

    #[test]
    fn articles_are_told_from_other_words() {
        let all: Vec<Kb> = Kb::all_in("5077181; KB5077212,kb958644 and 12 or 123456789 0123456").collect();
        assert_eq!(all, [kb(5_077_181), kb(5_077_212), kb(958_644)]);
        assert!("Release Notes".parse::<Kb>().is_err() && "".parse::<Kb>().is_err());
    }

    #[test]
    fn remedies_are_read_as_they_were_written() {
        for text in ["KB5034129<KB5033118,KB5033120 KB5034439=10.0.20348.2220;KB5034770 KB5035857", "KB5034129", ""] {
            assert_eq!(remedies(text).to_string(), text);
        }
        assert_eq!(remedies("nonsense<;;== KB5034129").remedies.len(), 0);
    }

    #[test]
    fn supersedence_goes_over_others_and_survives_circles() {
        let mut all = Supersedence::default();
        for text in ["KB50002<KB50001", "KB50003<KB50002", "KB50001<KB50003", "KB50004<KB50004,KB50003", "KB60001<KB60000"] {
            all.learn(&remedies(text));
        }
        let later: Vec<Kb> = all.later_than(&remedies("KB50001")).into_iter().collect();
        assert_eq!(later, [kb(50_002), kb(50_003), kb(50_004)]);
        assert!(all.later_than(&remedies("KB50004")).is_empty());
    }

    #[test]
    fn a_chain_is_bounded() {
        let mut all = Supersedence::default();
        for number in 10_000..99_000 {
            all.learn(&remedies(&format!("KB{}<KB{number}", number + 1)));
        }
        assert_eq!(all.later_than(&remedies("KB10000")).len(), MAX_LATER);
    }

    #[test]
    fn one_remedy_is_enough() {
        let either = remedies("KB50001 KB50002=10.0.20348.2220;KB50003");
        let has = |updates: &[u32], build: &str| either.are_met_by(&updates.iter().map(|number| kb(*number)).collect(), build);
        assert!(has(&[50_001], "") && has(&[50_002], "") && has(&[50_003], "") && has(&[], "10.0.20348.2220"));
        assert!(!has(&[50_004], "10.0.20348.2221") && !has(&[], ""));
    }

    #[test]
    fn installed_updates_are_part_of_a_system() {
        let system =
            || Component::new(Ecosystem::release(Family::Windows, "Windows Server 2022"), "Windows Server 2022", "10.0.20348.2113");
        let updated = system().with_updates(&BTreeSet::from([kb(50_002), kb(50_001)]));
        assert_eq!(updated.module.as_deref(), Some("KB50001 KB50002"));
        assert_eq!(updated.updates().len(), 2);
        assert!(updated.hash() != system().hash() && system().with_updates(&BTreeSet::new()) == system());
    }
}
