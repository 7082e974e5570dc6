//! Exact sets of addresses and of ports: sorted ranges that neither overlap nor touch.

use std::fmt;

/// What a set is over: values that have neighbours.
pub trait Point: Copy + Ord + fmt::Debug {
    /// The first and the last value.
    const BOUNDS: (Self, Self);
    /// The next value; none after the last.
    fn next(self) -> Option<Self>;
    /// The value before; none before the first.
    fn previous(self) -> Option<Self>;
}

macro_rules! points {
    ($($kind:ty),*) => {$(
        impl Point for $kind {
            const BOUNDS: (Self, Self) = (<$kind>::MIN, <$kind>::MAX);
            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
            fn previous(self) -> Option<Self> {
                self.checked_sub(1)
            }
        }
    )*};
}
points!(u16, u128);

/// A set of values, as ranges whose ends both belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RangeSet<T>(Vec<(T, T)>);

impl<T> Default for RangeSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Point> RangeSet<T> {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        Self(vec![T::BOUNDS])
    }

    /// One range; nothing if it ends before it begins.
    #[must_use]
    pub fn range(first: T, last: T) -> Self {
        if first <= last { Self(vec![(first, last)]) } else { Self::default() }
    }

    /// The union of ranges in any order.
    #[must_use]
    pub fn of(ranges: impl IntoIterator<Item = (T, T)>) -> Self {
        let mut ranges: Vec<(T, T)> = ranges.into_iter().filter(|(first, last)| first <= last).collect();
        ranges.sort_unstable();
        let mut out: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match out.last_mut() {
                Some((_, end)) if end.next().is_none_or(|after| first <= after) => *end = (*end).max(last),
                _ => out.push((first, last)),
            }
        }
        Self(out)
    }

    /// Its ranges, in order; none of them can be extended.
    #[must_use]
    pub fn ranges(&self) -> &[(T, T)] {
        &self.0
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its smallest value.
    #[must_use]
    pub fn first(&self) -> Option<T> {
        self.0.first().map(|(first, _)| *first)
    }

    /// Whether a value is in it.
    #[must_use]
    pub fn contains(&self, value: T) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < value);
        self.0.get(at).is_some_and(|(first, _)| *first <= value)
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        match (self.is_empty(), other.is_empty()) {
            (true, _) => other.clone(),
            (_, true) => self.clone(),
            _ => Self::of(self.0.iter().chain(&other.0).copied()),
        }
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut out = Vec::new();
        while let (Some((a_first, a_last)), Some((b_first, b_last))) = (a.peek(), b.peek()) {
            let (first, last) = ((*a_first).max(*b_first), (*a_last).min(*b_last));
            if first <= last {
                out.push((first, last));
            }
            if a_last < b_last {
                a.next();
            } else {
                b.next();
            }
        }
        Self(out)
    }

    /// What is in this and not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.intersection(&other.complement())
    }

    /// What is not in it.
    #[must_use]
    pub fn complement(&self) -> Self {
        let (mut at, end) = (Some(T::BOUNDS.0), T::BOUNDS.1);
        let mut out = Vec::with_capacity(self.0.len() + 1);
        for (first, last) in &self.0 {
            if let (Some(from), Some(until)) = (at, first.previous())
                && from <= until
            {
                out.push((from, until));
            }
            at = last.next();
        }
        out.extend(at.map(|from| (from, end)));
        Self(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn small() -> impl Strategy<Value = RangeSet<u16>> {
        let edge = prop_oneof![0..12_u16, 65_530..=65_535_u16];
        prop::collection::vec((edge.clone(), edge), 0..5).prop_map(RangeSet::of)
    }

    fn values(set: &RangeSet<u16>) -> BTreeSet<u16> {
        (0..20).chain(65_520..=65_535).filter(|value| set.contains(*value)).collect()
    }

    proptest! {
        #[test]
        fn sets_are_sets(a in small(), b in small()) {
            let (left, right) = (values(&a), values(&b));
            prop_assert_eq!(values(&a.union(&b)), &left | &right);
            prop_assert_eq!(values(&a.intersection(&b)), &left & &right);
            prop_assert_eq!(values(&a.difference(&b)), &left - &right);
            prop_assert_eq!(a.complement().complement(), a.clone());
            prop_assert!(a.union(&b).ranges().windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "maximal ranges");
        }
    }
}
