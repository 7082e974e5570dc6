//! Rules whose target lacks something that may come.

use super::{Lab, scope};
use lestrade_events::{EgressPolicy, Kinds, LocalSecrets};
use lestrade_server::{Dispatch, Hub, HubSettings, Reconciler};
use std::sync::Arc;

#[test]
fn a_secret_that_was_missing_at_the_start_is_asked_for_again() {
    let lab = Lab::new();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("url");
    let rules = folder.path().join("rules.toml");
    let declared = |url: &str| {
        format!(
            "[[target]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{url}\"\n[[rule]]\nname = \"all\"\ntargets = [\"hook\"]\npattern = '{{\"source\": [\"aws.inspector2\"]}}'\n"
        )
    };
    std::fs::write(&rules, declared(&format!("file:{}", secret.display()))).unwrap();
    let settings = || HubSettings {
        kinds: Kinds::standard(),
        secrets: Arc::new(LocalSecrets),
        egress: EgressPolicy::PublicOnly,
        home: scope(),
        rules: Some(rules.clone()),
        everything: vec![],
    };
    let hub = Arc::new(Hub::new(lab.open(), settings()));
    let mut dispatch = Dispatch::new(Arc::clone(&hub)).unwrap();
    let problem = |hub: &Hub| hub.rules().1;
    assert!(problem(&hub).unwrap().contains("url: the secret in"), "it is told");
    assert_eq!(hub.targets().unwrap(), []);
    dispatch.reconcile().unwrap();
    assert!(problem(&hub).is_some());
    // The rules are the same as before.
    std::fs::write(&secret, "https://hooks.example/x\n").unwrap();
    dispatch.reconcile().unwrap();
    assert_eq!((problem(&hub), hub.targets().unwrap().len()), (None, 1));

    // What will not come by itself is for the operator to mend, at the start.
    std::fs::write(&rules, declared("ftp://hooks.example/x")).unwrap();
    assert!(Dispatch::new(Arc::new(Hub::new(Lab::new().open(), settings()))).is_err());
}
