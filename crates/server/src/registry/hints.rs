//! What a registry says by itself that it was given. It is believed as far as to look again: what is there, the registry is asked.
//!
//! Two shapes are heard: the notifications of Docker's distribution (CNCF distribution, "Work with notifications"), which Harbor's
//! registry and most others send as well, and Harbor's own webhooks, in their default and in their CloudEvents form.

use super::RegistrySelection;
use crate::Signal;
use crate::core::lock;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// How many places wait to be looked at; what goes beyond is a sweep's.
const MOST: usize = 1000;
/// How many things one message tells of.
const PER_MESSAGE: usize = 1000;
/// The longest name of a repository, the longest tag (distribution specification: 255 and 128).
const NAME: usize = 255;
const TAG: usize = 128;

/// A place to look at: a tag of a repository, or all of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Hint {
    pub(super) repository: String,
    pub(super) tag: Option<String>,
}

/// Places of one registry to be looked at before the next sweep.
#[derive(Debug, Default)]
pub(super) struct Hints(Mutex<BTreeSet<Hint>>);

impl Hints {
    /// All of them, which are then nobody's any more.
    pub(super) fn take(&self) -> BTreeSet<Hint> {
        std::mem::take(&mut *lock(&self.0))
    }

    fn add(&self, hint: &Hint) {
        let mut hints = lock(&self.0);
        if hints.len() < MOST {
            hints.insert(hint.clone());
        }
    }
}

/// Hears for a watched registry.
#[derive(Clone, Debug)]
pub struct RegistryEar {
    pub(super) selection: Arc<RegistrySelection>,
    pub(super) hints: Arc<Hints>,
    pub(super) signal: Option<Signal>,
}

impl RegistryEar {
    /// The same, waking whoever watches.
    #[must_use]
    pub fn waking(self, signal: Signal) -> Self {
        Self { signal: Some(signal), ..self }
    }

    /// Wakes whoever watches.
    pub(crate) fn wake(&self) {
        if let Some(signal) = &self.signal {
            signal.wake();
        }
    }
}

/// Takes in what registries say. A message names a registry as its sender knows it, which need not be how we do: whoever watches a
/// repository of that name looks.
///
/// Answers how many places will be looked at.
///
/// # Errors
/// When the message has neither of the two shapes.
pub(crate) fn hear(ears: &[RegistryEar], message: &Value) -> Result<usize, &'static str> {
    let told = read(message).ok_or("it is neither a notification of a registry nor a webhook of Harbor")?;
    let mut heard = 0;
    for ear in ears {
        let mine: Vec<&Hint> = told.iter().filter(|hint| ear.selection.has(&hint.repository)).collect();
        mine.iter().for_each(|hint| ear.hints.add(hint));
        heard += mine.len();
        if !mine.is_empty() {
            ear.wake();
        }
    }
    Ok(heard)
}

fn read(message: &Value) -> Option<BTreeSet<Hint>> {
    if let Some(events) = message.get("events").and_then(Value::as_array) {
        return Some(events.iter().take(PER_MESSAGE).filter_map(of_distribution).collect());
    }
    let (kind, data) = message.get("type").and_then(Value::as_str).zip(message.get("event_data").or_else(|| message.get("data")))?;
    let moves = ["PUSH_ARTIFACT", "DELETE_ARTIFACT", "pushImage", "deleteImage", "harbor.artifact.pushed", "harbor.artifact.deleted"];
    let repository = data.pointer("/repository/repo_full_name").and_then(Value::as_str);
    match (moves.contains(&kind), repository) {
        // A scan of Harbor's own, a quota: heard, and nothing to look at.
        (false, _) => Some(BTreeSet::new()),
        (true, None) => None,
        (true, Some(repository)) => {
            let resources = data.get("resources").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let is_push = !kind.to_ascii_lowercase().contains("delete");
            let tag = |resource: &Value| resource.get("tag").and_then(Value::as_str).filter(|_| is_push).map(str::to_owned);
            let mut tags: Vec<Option<String>> = resources.iter().take(PER_MESSAGE).map(tag).collect();
            if tags.is_empty() {
                tags.push(None);
            }
            Some(tags.into_iter().filter_map(|tag| hint(repository, tag)).collect())
        }
    }
}

/// An event of the distribution: pushes of manifests, and deletions. That blobs came or were pulled changes no image.
fn of_distribution(event: &Value) -> Option<Hint> {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str);
    let repository = text("/target/repository")?;
    match text("/action")? {
        "push" if text("/target/mediaType").is_none_or(|kind| kind.contains("manifest") || kind.contains("index")) => {
            hint(repository, text("/target/tag").map(str::to_owned))
        }
        "delete" => hint(repository, None),
        _ => None,
    }
}

/// A hint, if what it names can be a name: it ends up in a URL.
fn hint(repository: &str, tag: Option<String>) -> Option<Hint> {
    let word = |text: &str, extra: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || extra.contains(c));
    let is_name = !repository.is_empty()
        && repository.len() <= NAME
        && word(repository, "._-/")
        && !repository.split('/').any(|part| part.is_empty() || part.starts_with('.'));
    let tag = tag.filter(|tag| !tag.is_empty());
    let is_tag = tag.as_ref().is_none_or(|tag| tag.len() <= TAG && word(tag, "._-") && !tag.starts_with('.'));
    (is_name && is_tag).then(|| Hint { repository: repository.to_owned(), tag })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(message: &Value) -> Option<Vec<String>> {
        let show = |hint: &Hint| format!("{}:{}", hint.repository, hint.tag.as_deref().unwrap_or("*"));
        read(message).map(|hints| hints.iter().map(show).collect())
    }

    #[test]
    fn messages_are_understood_and_not_believed() {
        let manifest = "application/vnd.oci.image.manifest.v1+json";
        let distribution = json!({"events": [
            {"action": "push", "target": {"mediaType": manifest, "repository": "shop/web", "tag": "v1", "digest": "sha256:1"}},
            {"action": "push", "target": {"mediaType": "application/octet-stream", "repository": "shop/blob"}},
            {"action": "push", "target": {"mediaType": manifest, "repository": "shop/by-digest"}},
            {"action": "pull", "target": {"mediaType": manifest, "repository": "shop/pulled", "tag": "v1"}},
            {"action": "delete", "target": {"repository": "shop/old", "digest": "sha256:2"}},
            {"action": "push", "target": {"mediaType": manifest, "repository": "../../etc", "tag": "v1"}},
            {"action": "push", "target": {"mediaType": manifest, "repository": "a", "tag": "v1/../../x"}},
            {"action": "push"}, 7
        ]});
        assert_eq!(told(&distribution).unwrap(), ["shop/by-digest:*", "shop/old:*", "shop/web:v1"]);

        let data = |tags: &[&str]| {
            let resources: Vec<_> = tags.iter().map(|tag| json!({"tag": tag, "resource_url": "h/library/app"})).collect();
            json!({"resources": resources, "repository": {"name": "app", "namespace": "library", "repo_full_name": "library/app"}})
        };
        let harbor = |kind: &str, tags: &[&str]| told(&json!({"type": kind, "occur_at": 1, "operator": "x", "event_data": data(tags)}));
        assert_eq!(harbor("PUSH_ARTIFACT", &["v1", "v2"]).unwrap(), ["library/app:v1", "library/app:v2"]);
        assert_eq!(harbor("DELETE_ARTIFACT", &["v1"]).unwrap(), ["library/app:*"]);
        assert_eq!(harbor("SCANNING_COMPLETED", &["v1"]).unwrap(), Vec::<String>::new());
        let cloud = json!({"specversion": "1.0", "type": "harbor.artifact.pushed", "data": data(&["v3"])});
        assert_eq!(told(&cloud).unwrap(), ["library/app:v3"]);
        for strange in [json!({}), json!([]), json!({"type": "PUSH_ARTIFACT"}), json!({"type": "PUSH_ARTIFACT", "event_data": {}})] {
            assert_eq!(told(&strange), None);
        }
    }

    #[test]
    fn only_who_watches_the_repository_is_woken_and_hints_are_bounded() {
        let ear = |text: &str| RegistryEar {
            selection: Arc::new(RegistrySelection::all_of([text]).unwrap().remove(0)),
            hints: Arc::default(),
            signal: None,
        };
        let ears = [ear("a/shop/*"), ear("b/other")];
        let event = |n: usize| json!({"action": "push", "target": {"repository": "shop/web", "tag": format!("v{n}")}});
        let message = |from: usize| json!({"events": (from..from + 900).map(event).collect::<Vec<_>>()});
        assert_eq!(hear(&ears, &message(0)).unwrap(), 900);
        assert_eq!(hear(&ears, &message(900)).unwrap(), 900);
        assert_eq!((ears[0].hints.take().len(), ears[1].hints.take().len()), (MOST, 0));
    }
}
