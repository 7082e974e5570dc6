//! What there is, in the model's words.

use crate::ec2::{Ec2, instances};
use crate::{Error, Partial};
use lestrade_model::{Resource, ResourceDetails, ResourceFacts, ResourceKey, ResourceKind, Scope};
use lestrade_wire::Transport;
use lestrade_wire::ec2::{Instance, InstanceStateName, Reservation};

/// All instances of a scope that are not terminated.
///
/// # Errors
/// When the view is not complete: a page is missing, an instance has no id, or the credentials are another account's.
pub async fn discover_instances<T: Transport>(ec2: &Ec2<T>, scope: &Scope) -> Result<Vec<Resource>, Partial> {
    match ec2.describe_instances().await {
        Ok(reservations) => resources(reservations, scope),
        Err((reservations, why)) => {
            let seen = resources(reservations, scope).unwrap_or_else(|partial| partial.seen);
            Err(Partial { seen, why })
        }
    }
}

fn resources(reservations: Vec<Reservation>, scope: &Scope) -> Result<Vec<Resource>, Partial> {
    let mut seen = Vec::new();
    let mut nameless = 0;
    for (owner, instance) in instances(reservations) {
        if let Some(found) = owner.filter(|owner| *owner != scope.account) {
            // Nothing of a foreign view may enter this scope.
            return Err(Partial { seen: Vec::new(), why: Error::WrongAccount { found, expected: scope.account.clone() } });
        }
        if is_terminated(&instance) {
            continue;
        }
        match resource(instance, scope) {
            Some(resource) => seen.push(resource),
            None => nameless += 1,
        }
    }
    seen.sort_by(|a, b| a.key.cmp(&b.key));
    if nameless > 0 { Err(Partial { seen, why: Error::Nameless(nameless) }) } else { Ok(seen) }
}

/// An instance that is shutting down still runs; one that is terminated stays listed for an hour.
fn is_terminated(instance: &Instance) -> bool {
    instance.state.as_ref().and_then(|state| state.name.as_ref()) == Some(&InstanceStateName::Terminated)
}

fn resource(instance: Instance, scope: &Scope) -> Option<Resource> {
    let id = instance.instance_id.filter(|id| !id.is_empty())?;
    let tags = instance.tags.unwrap_or_default().into_iter();
    let mut tags: Vec<(String, String)> = tags.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect();
    tags.sort_unstable();
    Some(Resource {
        key: ResourceKey { scope: scope.clone(), kind: ResourceKind::Instance, id },
        details: ResourceDetails::None,
        facts: ResourceFacts::default(),
        tags,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{self, Script};

    fn scope() -> Scope {
        Scope::new("aws", "111122223333", "eu-west-1").unwrap()
    }

    async fn discover(script: &Script) -> Result<Vec<String>, Partial> {
        let found = discover_instances(&script::ec2(script), &scope()).await?;
        Ok(found.into_iter().map(|resource| resource.key.id).collect())
    }

    #[tokio::test]
    async fn instances_become_resources_whatever_else_is_missing() {
        let bare = "<item><instanceId>i-2</instanceId></item>";
        let full = "<item><instanceId>i-1</instanceId><instanceState><name>stopped</name></instanceState>\
                    <tagSet><item><key>b</key></item><item><key>a</key><value>1</value></item><item><value>x</value></item></tagSet></item>";
        let gone = "<item><instanceId>i-0</instanceId><instanceState><name>terminated</name></instanceState></item>";
        let strange = "<item><instanceId>i-3</instanceId><instanceState><name>levitating</name></instanceState></item>";
        let script = Script::of([script::ok(&script::reservation("111122223333", &[bare, full, gone, strange].concat(), ""))]);
        let found = discover_instances(&script::ec2(&script), &scope()).await.unwrap();
        assert_eq!(found.iter().map(|r| r.key.id.as_str()).collect::<Vec<_>>(), ["i-1", "i-2", "i-3"]);
        assert_eq!(found[0].tags, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        assert_eq!((found[0].key.kind, &found[0].key.scope), (ResourceKind::Instance, &scope()));
    }

    #[tokio::test]
    async fn a_lost_page_is_an_error_that_tells_what_was_seen() {
        let first = script::ok(&script::reservation("111122223333", "<item><instanceId>i-1</instanceId></item>", "more"));
        let partial = discover(&Script::of([first, script::refused(403, "UnauthorizedOperation")])).await.unwrap_err();
        assert_eq!(partial.seen.len(), 1);
        assert!(partial.to_string().starts_with("an incomplete view (1 resources seen): DescribeInstances: UnauthorizedOperation"));
    }

    #[tokio::test]
    async fn a_foreign_account_and_a_nameless_instance_are_errors() {
        let foreign = Script::of([script::ok(&script::reservation("999999999999", "<item><instanceId>i-1</instanceId></item>", ""))]);
        let partial = discover(&foreign).await.unwrap_err();
        assert!(partial.seen.is_empty() && matches!(partial.why, Error::WrongAccount { .. }));

        let nameless =
            Script::of([script::ok(&script::reservation("111122223333", "<item/><item><instanceId>i-1</instanceId></item>", ""))]);
        let partial = discover(&nameless).await.unwrap_err();
        assert!(partial.seen.len() == 1 && matches!(partial.why, Error::Nameless(1)));
    }

    #[tokio::test]
    async fn nothing_there_is_an_empty_view_and_no_error() {
        assert!(discover(&Script::of([script::ok("<R><reservationSet/></R>")])).await.unwrap().is_empty());
    }
}
