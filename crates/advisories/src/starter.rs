//! The starter set: some well-known vulnerabilities that ship with the program, so that a first scan works with nothing set up.
//! It is not intelligence: every output that rests on it says so, and the watching server never loads it.

/// The starter set, compiled: a first scan has no time to do it. A test says that it is of the records.
#[must_use]
pub const fn starter_index() -> &'static [u8] {
    include_bytes!("../starter/advisories.index")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Importer, read_osv};
    use lestrade_matching::AdvisoryIndex;
    use lestrade_model::{Advisory, Timestamp};
    use serde_json::Value;

    /// The records, under the name by which an index knows that it holds nothing else.
    fn starter_advisories() -> Vec<Advisory> {
        let records: Vec<Value> = serde_json::from_str(include_str!("../starter/advisories.json")).unwrap();
        records.into_iter().map(|record| read_osv("starter", record).unwrap()).collect()
    }

    #[test]
    fn every_record_is_sound() {
        let advisories = starter_advisories();
        assert!(advisories.len() >= 30);
        for advisory in &advisories {
            assert!(!advisory.scores.is_empty(), "{} has a score", advisory.key.id);
            assert!(!advisory.summary.is_empty() && !advisory.references.is_empty(), "{} is explained", advisory.key.id);
            assert!(advisory.affected.iter().all(|a| a.ranges.iter().any(|r| r.events.len() >= 2)), "{} has a fix", advisory.key.id);
        }
        let index = AdvisoryIndex::open(starter_index()).unwrap();
        assert!(index.manifest().is_starter_only());
    }

    /// `LESTRADE_BLESS=1` compiles it anew.
    #[test]
    fn what_is_compiled_is_of_the_records() {
        let mut importer = Importer::new(Timestamp::default());
        importer.extend(starter_advisories());
        let compiled = importer.finish().unwrap().0;
        if std::env::var_os("LESTRADE_BLESS").is_some() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/starter/advisories.index"), compiled).unwrap();
        } else {
            assert!(compiled == starter_index(), "the records or the format changed; LESTRADE_BLESS=1 compiles them anew");
        }
    }
}
