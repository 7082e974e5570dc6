//! Vulnerabilities by their ids. Most are of CVE, two numbers, and lie in tables by these: a day of scores asks for hundreds of
//! thousands, of which most are not here.

use crate::index::{BEFORE, YEARS, cve_of};
use std::collections::HashMap;

/// Numbers of CVE in a page of their table.
const PAGE: u32 = 256;
/// CVEs with a number from here on are kept as text: nobody grows the table of a year by one long number.
const MOST: u32 = 1 << 21;
/// In the place of a number that was not given.
const NONE: u32 = u32::MAX;

/// Gives ids back the numbers that they were given.
#[derive(Default)]
pub(crate) struct Named {
    years: Vec<Vec<Option<Box<[u32; PAGE as usize]>>>>,
    others: HashMap<String, u32, foldhash::fast::RandomState>,
}

/// Where an id of CVE lies: year, page, place in it.
fn place(id: &str) -> Option<(usize, usize, usize)> {
    let (year, number) = cve_of(id).filter(|(_, number)| *number < MOST)?;
    Some((usize::from(year - BEFORE), (number / PAGE) as usize, (number % PAGE) as usize))
}

impl Named {
    /// The number of an id, if it was given one.
    pub(crate) fn get(&self, id: &str) -> Option<u32> {
        match place(id) {
            Some((year, page, place)) => {
                let number = self.years.get(year)?.get(page)?.as_ref()?[place];
                (number != NONE).then_some(number)
            }
            None => self.others.get(id).copied(),
        }
    }

    /// Gives an id a number, which is not [`u32::MAX`].
    pub(crate) fn insert(&mut self, id: &str, number: u32) {
        let Some((year, page, place)) = place(id) else {
            self.others.insert(id.to_owned(), number);
            return;
        };
        if self.years.is_empty() {
            self.years.resize_with(usize::from(YEARS), Vec::new);
        }
        let pages = &mut self.years[year];
        if pages.len() <= page {
            pages.resize_with(page + 1, || None);
        }
        pages[page].get_or_insert_with(|| Box::new([NONE; PAGE as usize]))[place] = number;
    }

    /// Takes an id's number away, if it has one.
    pub(crate) fn remove(&mut self, id: &str) {
        match place(id) {
            Some((year, page, place)) => {
                if let Some(Some(page)) = self.years.get_mut(year).and_then(|pages| pages.get_mut(page)) {
                    page[place] = NONE;
                }
            }
            None => drop(self.others.remove(id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Ids that look alike, of CVE and not.
    fn any_id() -> impl Strategy<Value = String> {
        let number = prop_oneof!["[0-9]{1,5}", "209715[0-9]", "42949672[0-9]{2}", "[0-9]{1,12}"];
        let year = prop_oneof![Just("2021".to_owned()), Just("1999".to_owned()), "[0-9]{3,5}"];
        prop_oneof![(year, number).prop_map(|(year, number)| format!("CVE-{year}-{number}")), "[A-Z]{1,2}-[0-9]"]
    }

    proptest! {
        #[test]
        fn each_id_has_the_number_that_it_was_given(ids in prop::collection::vec((any_id(), any::<bool>()), 0..200), asked in prop::collection::vec(any_id(), 0..200)) {
            let (mut named, mut expected) = (Named::default(), HashMap::new());
            for (number, (id, _)) in (0..).zip(&ids) {
                named.insert(id, number);
                expected.insert(id.clone(), number);
            }
            for id in ids.iter().filter(|(_, stays)| !stays).map(|(id, _)| id).chain(asked.first()) {
                named.remove(id);
                expected.remove(id);
            }
            let ids: Vec<String> = ids.into_iter().map(|(id, _)| id).collect();
            for id in ids.iter().chain(&asked) {
                prop_assert_eq!(named.get(id), expected.get(id).copied(), "{}", id);
            }
        }
    }
}
