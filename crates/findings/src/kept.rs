//! What is kept between queries so that none has to look at a whole estate: the items of one side of a finding (resources, or
//! vulnerabilities) in the order of an attribute, and the items of which a term holds.
//!
//! Both are made when they are first asked for. Whoever changes an item touches it; what was touched is put right by the next
//! query, at a cost in proportion to what changed.

use crate::Term;
use roaring::RoaringBitmap;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many terms are kept of each side. At a million items one is at most 128 KiB.
const KEPT_TERMS: usize = 256;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn inner<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Default)]
struct Order {
    sorted: Arc<Vec<u32>>,
    touched: RoaringBitmap,
}

/// Items in order, by what they are ordered by. Whoever asks for one order does not wait for another to be made.
pub(crate) struct Orders<F>(Mutex<BTreeMap<F, Arc<Mutex<Option<Order>>>>>);

impl<F> Default for Orders<F> {
    fn default() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }
}

impl<F: Ord + Copy> Orders<F> {
    /// An item is new or has changed.
    pub(crate) fn touch(&mut self, item: u32) {
        for order in inner(&mut self.0).values_mut() {
            if let Some(order) = &mut *lock(order) {
                order.touched.insert(item);
            }
        }
    }

    /// The items in the order of their keys, which no two share; those without a key are left out. `all` is every item there is.
    pub(crate) fn get<K: Ord>(&self, by: F, all: impl Iterator<Item = u32>, key: impl Fn(u32) -> Option<K>) -> Arc<Vec<u32>> {
        let kept = Arc::clone(lock(&self.0).entry(by).or_default());
        let mut kept = lock(&kept);
        match &mut *kept {
            Some(order) if order.touched.is_empty() => Arc::clone(&order.sorted),
            Some(order) => {
                let touched = std::mem::take(&mut order.touched);
                order.sorted = Arc::new(merged(&order.sorted, &touched, &key));
                Arc::clone(&order.sorted)
            }
            None => {
                let mut keyed: Vec<(K, u32)> = all.filter_map(|item| Some((key(item)?, item))).collect();
                keyed.sort_unstable();
                let sorted = Arc::new(keyed.into_iter().map(|(_, item)| item).collect::<Vec<u32>>());
                *kept = Some(Order { sorted: Arc::clone(&sorted), touched: RoaringBitmap::new() });
                sorted
            }
        }
    }
}

/// An order with some of its items, and new ones, put where they belong now.
fn merged<K: Ord>(sorted: &[u32], touched: &RoaringBitmap, key: &impl Fn(u32) -> Option<K>) -> Vec<u32> {
    let rest: Vec<u32> = sorted.iter().copied().filter(|item| !touched.contains(*item)).collect();
    let mut moved: Vec<(K, u32)> = touched.iter().filter_map(|item| Some((key(item)?, item))).collect();
    moved.sort_unstable();
    let mut all = Vec::with_capacity(rest.len() + moved.len());
    let mut from = 0;
    for (place, item) in moved {
        let upto = from + rest[from..].partition_point(|other| key(*other).is_some_and(|other| other < place));
        all.extend_from_slice(&rest[from..upto]);
        all.push(item);
        from = upto;
    }
    all.extend_from_slice(&rest[from..]);
    all
}

struct Held {
    items: Arc<RoaringBitmap>,
    touched: RoaringBitmap,
    used: u64,
}

#[derive(Default)]
struct Terms {
    held: HashMap<Vec<u8>, Held>,
    clock: u64,
}

/// The items of which terms hold.
#[derive(Default)]
pub(crate) struct TermSets(Mutex<Terms>);

impl TermSets {
    /// An item is new or has changed.
    pub(crate) fn touch(&mut self, item: u32) {
        for held in inner(&mut self.0).held.values_mut() {
            held.touched.insert(item);
        }
    }

    /// The items of which a term holds: `holds` says it of one, `all` finds them all.
    pub(crate) fn get(&self, term: &Term, all: impl FnOnce() -> RoaringBitmap, holds: impl Fn(u32) -> bool) -> Arc<RoaringBitmap> {
        // A term that cannot be written down is no other's.
        let Ok(key) = postcard::to_stdvec(term) else { return Arc::new(all()) };
        let mut terms = lock(&self.0);
        terms.clock += 1;
        let used = terms.clock;
        if let Some(held) = terms.held.get_mut(&key) {
            held.used = used;
            let touched = std::mem::take(&mut held.touched);
            if !touched.is_empty() {
                let items = Arc::make_mut(&mut held.items);
                for item in &touched {
                    if holds(item) {
                        items.insert(item)
                    } else {
                        items.remove(item)
                    };
                }
            }
            return Arc::clone(&held.items);
        }
        if terms.held.len() >= KEPT_TERMS
            && let Some(oldest) = terms.held.iter().min_by_key(|(_, held)| held.used).map(|(key, _)| key.clone())
        {
            terms.held.remove(&oldest);
        }
        let items = Arc::new(all());
        terms.held.insert(key, Held { items: Arc::clone(&items), touched: RoaringBitmap::new(), used });
        items
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TextField, TextTest};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_order_that_is_kept_is_the_one_that_is_made_anew(
            steps in proptest::collection::vec(proptest::collection::vec((0u32..40, proptest::option::of(0i32..5)), 0..10), 1..10)
        ) {
            let mut orders: Orders<u8> = Orders::default();
            let mut values: BTreeMap<u32, Option<i32>> = BTreeMap::new();
            for step in steps {
                for (item, value) in step {
                    values.insert(item, value);
                    orders.touch(item);
                }
                let key = |item: u32| Some((values.get(&item).copied()??, item));
                let kept = orders.get(1, values.keys().copied(), key);
                let anew = Orders::default().get(1, values.keys().copied(), key);
                prop_assert_eq!(kept, anew);
            }
        }
    }

    #[test]
    fn a_term_is_asked_again_of_what_was_touched_and_of_nothing_else() {
        let mut terms = TermSets::default();
        let term = Term::Text(TextField::Severity, vec![TextTest::Equals("HIGH".into())]);
        let first = terms.get(&term, || RoaringBitmap::from([1, 2]), |_| unreachable!("all were asked"));
        assert_eq!(*first, RoaringBitmap::from([1, 2]));
        terms.touch(2);
        terms.touch(3);
        let second = terms.get(&term, || unreachable!("it is kept"), |item| item == 3);
        assert_eq!(*second, RoaringBitmap::from([1, 3]));
        for other in 0..=KEPT_TERMS {
            terms.get(&Term::Text(TextField::Title, vec![TextTest::Equals(other.to_string())]), RoaringBitmap::new, |_| false);
        }
        let mut asked = false;
        terms.get(
            &term,
            || {
                asked = true;
                RoaringBitmap::new()
            },
            |_| false,
        );
        assert!(asked, "what nobody asked for in a long time is let go of");
    }
}
