//! Layers laid over each other: which files and links are visible at the top.

use crate::report::{FileReport, LayerReport, shadow};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Links that are followed one after the other before it is called a circle.
const MAX_HOPS: usize = 40;

/// What is visible.
pub(crate) struct Overlay<'a> {
    /// Wanted files and links, each with the number of its layer.
    pub(crate) files: BTreeMap<&'a str, (usize, &'a FileReport)>,
    /// What stands on the way to files that are wanted by their full name: where a link leads, or none for a folder.
    ways: BTreeMap<&'a str, Option<&'a str>>,
    /// How ways begin: they are few, and in few folders of the root.
    tops: BTreeSet<&'a str>,
}

/// The first part of a path.
fn top(path: &str) -> &str {
    path.split_once('/').map_or(path, |(top, _)| top)
}

/// Links that lead round in a circle, or over more others than are followed.
pub(crate) struct Circle;

impl<'a> Overlay<'a> {
    /// Lays layers over each other, the lowest first.
    pub(crate) fn of(layers: &'a [LayerReport]) -> Self {
        let mut overlay = Self { files: BTreeMap::new(), ways: BTreeMap::new(), tops: BTreeSet::new() };
        for (number, layer) in layers.iter().enumerate() {
            if !overlay.files.is_empty() || !overlay.ways.is_empty() {
                hide(&mut overlay.files, layer);
                hide(&mut overlay.ways, layer);
            }
            for (path, link) in &layer.ways {
                overlay.ways.insert(path, link.as_deref());
            }
            for file in &layer.files {
                overlay.files.insert(&file.path, (number, file));
            }
        }
        overlay.tops = overlay.ways.keys().map(|way| top(way)).collect();
        overlay
    }

    /// Whether a path begins as no way does, so that nothing on it leads elsewhere: most files are where they are.
    pub(crate) fn is_off_all_ways(&self, path: &str) -> bool {
        !self.tops.contains(&top(path))
    }

    /// Where a path leads when every link on it is followed inside the root, as far as links are known.
    pub(crate) fn locate(&self, path: &str) -> Result<String, Circle> {
        let mut path = path.to_owned();
        for _ in 0..=MAX_HOPS {
            let Some(next) = self.step(&path) else { return Ok(path) };
            path = next;
        }
        Err(Circle)
    }

    /// Follows one link: the topmost folder's on the path first, as a kernel does, the file's own last.
    fn step(&self, path: &str) -> Option<String> {
        let folders = path.match_indices('/').map(|(end, _)| path.split_at(end));
        for (folder, rest) in folders {
            if let Some(Some(link)) = self.ways.get(folder) {
                return Some(resolve(folder, link) + rest);
            }
        }
        let own = match self.files.get(path) {
            Some((_, file)) => file.link.as_deref(),
            None => self.ways.get(path).copied().flatten(),
        };
        own.map(|link| resolve(path, link))
    }
}

/// Takes out what a layer hides of the layers below.
fn hide<V>(visible: &mut BTreeMap<&str, V>, layer: &LayerReport) {
    for folder in &layer.opaque {
        remove_below(visible, folder);
    }
    for path in &layer.whiteouts {
        visible.remove(path.as_str());
        remove_below(visible, path);
    }
    if layer.shadows.is_empty() {
        return;
    }
    visible.retain(|path, _| {
        let mut above = path.match_indices('/').map(|(end, _)| path.split_at(end).0).chain([*path]);
        // Searched, and not put into a set: a layer has tens of thousands, of which hardly any hides something.
        !above.any(|path| layer.shadows.binary_search(&shadow(path)).is_ok())
    });
}

fn remove_below<V>(visible: &mut BTreeMap<&str, V>, folder: &str) {
    if folder.is_empty() {
        return visible.clear();
    }
    let start = format!("{folder}/");
    let below = visible.range::<str, _>((Bound::Included(start.as_str()), Bound::Unbounded));
    let gone: Vec<&str> = below.map(|(path, _)| *path).take_while(|path| path.starts_with(&start)).collect();
    for path in gone {
        visible.remove(path);
    }
}

/// Where a link points, inside the root: `..` at the root stays there.
fn resolve(path: &str, link: &str) -> String {
    let mut parts: Vec<&str> = if link.starts_with('/') { vec![] } else { path.split('/').collect() };
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(files: &[&str], shadows: &[&str]) -> LayerReport {
        let file = |path: &&str| FileReport { path: (*path).to_owned(), ..FileReport::default() };
        let mut shadows: Vec<u64> = shadows.iter().chain(files).map(|path| shadow(path)).collect();
        shadows.sort_unstable();
        LayerReport { files: files.iter().map(file).collect(), shadows, ..LayerReport::default() }
    }

    fn visible(layers: &[LayerReport]) -> Vec<String> {
        Overlay::of(layers).files.keys().map(|path| (*path).to_owned()).collect()
    }

    #[test]
    fn what_is_no_folder_hides_what_was_below_it() {
        let base = || layer(&["a/x/file", "a/y/file"], &["a/x/other"]);
        for (shadow, left) in [
            ("a", vec![]),
            ("a/x", vec!["a/y/file"]),
            ("a/x/file", vec!["a/y/file"]),
            ("a/x/f", vec!["a/x/file", "a/y/file"]),
            ("a/x/file/z", vec!["a/x/file", "a/y/file"]),
        ] {
            assert_eq!(visible(&[base(), layer(&[], &[shadow])]), left, "{shadow}");
        }
        assert_eq!(visible(&[base()]), ["a/x/file", "a/y/file"], "a layer hides nothing of its own");
        assert_eq!(visible(&[base(), layer(&["a/x/file"], &["a"])]), ["a/x/file"]);
    }

    #[test]
    fn links_on_the_way_are_followed_from_the_top() {
        let ways = |pairs: &[(&str, Option<&str>)]| LayerReport {
            ways: pairs.iter().map(|(path, link)| ((*path).to_owned(), link.map(str::to_owned))).collect(),
            ..LayerReport::default()
        };
        let links = [ways(&[("var", Some("/srv/../mnt")), ("mnt/lib", Some("../opt")), ("loop", Some("loop"))])];
        let overlay = Overlay::of(&links);
        assert_eq!(["var/lib", "mnt", "etc/x", "va/lib"].map(|path| overlay.is_off_all_ways(path)), [false, false, true, true]);
        assert_eq!(overlay.locate("var/lib/dpkg/status").ok().as_deref(), Some("opt/dpkg/status"));
        assert_eq!(overlay.locate("etc/x").ok().as_deref(), Some("etc/x"));
        assert!(overlay.locate("loop/x").is_err());
        let replaced = [ways(&[("var", Some("mnt"))]), ways(&[("var", None)])];
        assert_eq!(Overlay::of(&replaced).locate("var/x").ok().as_deref(), Some("var/x"), "a folder takes a link's place");
    }
}
