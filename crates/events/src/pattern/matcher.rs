//! All rules at once: the cost of an event grows with the event and with the rules that it is about, not with the number of rules.
//!
//! Each alternative of a pattern is filed under one of its leaves: the one that fewest events will pass. An event's fields find
//! the filed leaves by hash (literals, prefixes, suffixes, texts in any case), or test after test where there is no hash to find
//! them by, each distinct test once. Only then are the other leaves asked.

use super::event::{EventFields, Field};
use super::parse::{Leaf, Pattern};
use super::tests_of::{Scalar, Test};
use std::collections::{BTreeSet, HashMap};

/// The most steps that the search for consistent elements takes; real events need a handful.
const MAX_STEPS: usize = 1_000_000;

/// Rules with their patterns, compiled.
#[derive(Debug, Default)]
pub struct RuleSet {
    names: Vec<String>,
    alternatives: Vec<Alternative>,
    paths: HashMap<String, PathIndex>,
    /// Alternatives that ask for a field's absence and nothing more telling, by the field.
    absent: Vec<(String, Vec<u32>)>,
}

#[derive(Debug)]
struct Alternative {
    rule: u32,
    leaves: Vec<Leaf>,
}

/// What is filed under one path.
#[derive(Debug, Default)]
struct PathIndex {
    literals: HashMap<String, Vec<u32>>,
    any_case: HashMap<String, Vec<u32>>,
    prefixes: Affixes,
    suffixes: Affixes,
    /// Tests that no hash finds, each once.
    others: Vec<(Test, Vec<u32>)>,
}

/// Texts by their length in bytes: a value is asked for each length that there is.
#[derive(Debug, Default)]
struct Affixes {
    lengths: BTreeSet<usize>,
    texts: HashMap<String, Vec<u32>>,
}

impl RuleSet {
    /// Compiles rules.
    #[must_use]
    pub fn new(rules: impl IntoIterator<Item = (String, Pattern)>) -> Self {
        let mut set = Self::default();
        for (name, pattern) in rules {
            let rule = id(set.names.len());
            set.names.push(name);
            set.alternatives.extend(pattern.alternatives.into_iter().map(|leaves| Alternative { rule, leaves }));
        }
        // A test that many alternatives share tells little.
        let mut shared: HashMap<(String, String), usize> = HashMap::new();
        for leaf in set.alternatives.iter().flat_map(|alternative| &alternative.leaves) {
            for test in &leaf.tests {
                *shared.entry((leaf.path.clone(), label(test))).or_default() += 1;
            }
        }
        let mut absent: HashMap<String, Vec<u32>> = HashMap::new();
        for (number, alternative) in set.alternatives.iter().enumerate() {
            let cost = |leaf: &&Leaf| {
                let worst = leaf.tests.iter().map(rank).max().unwrap_or(u8::MAX);
                let crowd: usize = leaf.tests.iter().map(|test| shared.get(&(leaf.path.clone(), label(test))).copied().unwrap_or(0)).sum();
                (worst, crowd)
            };
            let Some(leaf) = alternative.leaves.iter().min_by_key(cost) else { continue };
            for test in &leaf.tests {
                let number = id(number);
                if *test == Test::Absent {
                    absent.entry(leaf.path.clone()).or_default().push(number);
                } else {
                    set.paths.entry(leaf.path.clone()).or_default().file(test, number);
                }
            }
        }
        set.absent = absent.into_iter().collect();
        set
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The names of the rules that an event is for, in the order in which they were given.
    #[must_use]
    pub fn matching(&self, event: &EventFields) -> Vec<&str> {
        let mut candidates = BTreeSet::new();
        for (path, fields) in &event.fields {
            if let Some(index) = self.paths.get(path) {
                fields.iter().for_each(|field| index.find(&field.value, &mut candidates));
            }
        }
        for (path, alternatives) in &self.absent {
            if !event.fields.contains_key(path) {
                candidates.extend(alternatives);
            }
        }
        let mut rules = BTreeSet::new();
        for alternative in candidates.into_iter().filter_map(|number| self.alternatives.get(number as usize)) {
            if !rules.contains(&alternative.rule) && holds(&alternative.leaves, event) {
                rules.insert(alternative.rule);
            }
        }
        rules.into_iter().filter_map(|rule| self.names.get(rule as usize)).map(String::as_str).collect()
    }
}

impl Pattern {
    /// Whether an event is one that the pattern wants.
    #[must_use]
    pub fn matches(&self, event: &EventFields) -> bool {
        self.alternatives.iter().any(|leaves| holds(leaves, event))
    }

    /// The first field of which no test holds, of the alternative that comes furthest; none where the event matches, or where
    /// every field holds and they lie in different elements of an array.
    #[must_use]
    pub fn first_miss(&self, event: &EventFields) -> Option<String> {
        let misses = self
            .alternatives
            .iter()
            .map(|leaves| leaves.iter().position(|leaf| candidates(leaf, event).is_none()).map(|at| (at, leaves[at].path.clone())));
        misses.collect::<Option<Vec<_>>>()?.into_iter().max().map(|(_, path)| path)
    }
}

fn id(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How telling a test is: the lower, the fewer events pass it, and the cheaper it is found.
const fn rank(test: &Test) -> u8 {
    match test {
        Test::Equals(_) | Test::AnyCase(_) => 0,
        Test::Prefix(_) | Test::Suffix(_) => 1,
        Test::Wildcard(_) | Test::Numeric { .. } | Test::Cidr(_) => 2,
        Test::Anything(_) => 3,
        Test::Exists => 4,
        Test::Absent => 5,
    }
}

fn label(test: &Test) -> String {
    match test {
        Test::Equals(literal) => literal.key(),
        other => format!("{other:?}"),
    }
}

impl PathIndex {
    fn file(&mut self, test: &Test, number: u32) {
        match test {
            Test::Equals(literal) => self.literals.entry(literal.key()).or_default().push(number),
            // Only what has one other form of each character is found by one.
            Test::AnyCase(text) if text.0.is_ascii() => self.any_case.entry(text.0.to_ascii_lowercase()).or_default().push(number),
            Test::Prefix(affix) if !affix.any_case => self.prefixes.file(&affix.text, number),
            Test::Suffix(affix) if !affix.any_case => self.suffixes.file(&affix.text, number),
            other => match self.others.iter_mut().find(|(known, _)| known == other) {
                Some((_, numbers)) => numbers.push(number),
                None => self.others.push((other.clone(), vec![number])),
            },
        }
    }

    fn find(&self, value: &Scalar, found: &mut BTreeSet<u32>) {
        if !self.literals.is_empty() {
            found.extend(self.literals.get(&value.key()).into_iter().flatten());
        }
        if let Scalar::Text(text) = value {
            if !self.any_case.is_empty() {
                found.extend(self.any_case.get(&text.to_ascii_lowercase()).into_iter().flatten());
            }
            for &length in self.prefixes.lengths.iter().take_while(|length| **length <= text.len()) {
                found.extend(text.get(..length).and_then(|prefix| self.prefixes.texts.get(prefix)).into_iter().flatten());
            }
            for &length in self.suffixes.lengths.iter().take_while(|length| **length <= text.len()) {
                found.extend(text.get(text.len() - length..).and_then(|suffix| self.suffixes.texts.get(suffix)).into_iter().flatten());
            }
        }
        for (test, numbers) in &self.others {
            if test.holds(value) {
                found.extend(numbers);
            }
        }
    }
}

impl Affixes {
    fn file(&mut self, text: &str, number: u32) {
        self.lengths.insert(text.len());
        self.texts.entry(text.to_owned()).or_default().push(number);
    }
}

/// The elements in which a leaf holds; an empty list of places where it holds for the whole event. None if it holds nowhere.
fn candidates<'a>(leaf: &Leaf, event: &'a EventFields) -> Option<Vec<&'a [(u32, u32)]>> {
    let fields: &[Field] = event.fields.get(&leaf.path).map(Vec::as_slice).unwrap_or_default();
    if fields.is_empty() {
        return leaf.tests.contains(&Test::Absent).then(|| vec![&[][..]]);
    }
    let mut places: Vec<&[(u32, u32)]> =
        fields.iter().filter(|field| leaf.tests.iter().any(|test| test.holds(&field.value))).map(|field| field.places.as_slice()).collect();
    places.sort_unstable();
    places.dedup();
    (!places.is_empty()).then_some(places)
}

/// Whether all leaves hold, each array's in one element of it.
fn holds(leaves: &[Leaf], event: &EventFields) -> bool {
    let mut options = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        match candidates(leaf, event) {
            Some(places) => options.push(places),
            None => return false,
        }
    }
    // What can be in one place alone decides for the others.
    options.sort_by_key(Vec::len);
    let mut steps = 0;
    consistent(&options, &mut HashMap::new(), &mut steps)
}

fn consistent(options: &[Vec<&[(u32, u32)]>], chosen: &mut HashMap<u32, u32>, steps: &mut usize) -> bool {
    let Some((first, rest)) = options.split_first() else { return true };
    for places in first {
        *steps += 1;
        if *steps > MAX_STEPS {
            return false;
        }
        if places.iter().any(|(array, element)| chosen.get(array).is_some_and(|other| other != element)) {
            continue;
        }
        let new: Vec<u32> = places.iter().map(|(array, _)| *array).filter(|array| !chosen.contains_key(array)).collect();
        chosen.extend(places.iter().copied());
        if consistent(rest, chosen, steps) {
            return true;
        }
        for array in new {
            chosen.remove(&array);
        }
    }
    false
}
