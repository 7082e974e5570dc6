//! Discovery.

use super::Moto;
use lestrade_aws::{
    Endpoints, FunctionVersions, Https, LATEST, NetworkObject, Principal, Retry, Session, describe_network, describe_object,
    discover_clusters, discover_function, discover_functions, discover_images, discover_instances, discover_repositories, discover_running,
};
use lestrade_model::{ResourceDetails, Scope};
use lestrade_reachability::{evaluate, read_descriptions};
use lestrade_testkit::SystemClock;
use lestrade_wire::sigv4::{Credentials, SecretKey};
use std::sync::Arc;
use std::time::Duration;

fn session(moto: &Moto) -> Session<Https> {
    let credentials = Credentials { access_key: "AKIDEXAMPLE".into(), secret: SecretKey::new("secret".into()), session_token: None };
    let endpoints = Endpoints::all(moto.world["endpoint"].as_str()).unwrap();
    let retry = Retry { attempts: 2, first_wait: Duration::from_millis(10), longest: Duration::from_millis(10) };
    Session::new(Https::new().unwrap(), endpoints, "eu-west-1", Principal::fixed(credentials), Arc::new(SystemClock)).retrying(retry)
}

#[tokio::test]
async fn what_moto_serves_is_found() {
    let Some(moto) = Moto::start("moto_estate.py") else { return };
    let session = session(&moto);
    let scope = Scope::new("aws", "123456789012", "eu-west-1").unwrap();

    let listing = discover_instances(&session, &scope, &[]).await;
    assert!(listing.missing.is_none());
    let found = listing.items;
    assert_eq!(serde_json::json!(found.iter().map(|r| &r.key.id).collect::<Vec<_>>()), moto.world["instances"]);
    let name = ("Name".to_owned(), "a & b <c>".to_owned());
    assert!(found.iter().all(|resource| resource.tags.contains(&name)), "{found:?}");
    let one = discover_instances(&session, &scope, &[found[0].key.id.clone(), "i-0000000000000dead".into()]).await;
    assert!(one.missing.is_none() && one.items == found[..1]);

    let repositories = discover_repositories(&session, &scope).await;
    assert_eq!(repositories.items, ["app"]);
    let images = discover_images(&session, &scope, "app").await;
    assert!(images.missing.is_none());
    assert_eq!(
        images.items[0].resource.key.id,
        format!("arn:aws:ecr:eu-west-1:123456789012:repository/app/{}", moto.world["image"].as_str().unwrap())
    );

    let functions = discover_functions(&session, &scope, FunctionVersions::Latest).await;
    assert!(functions.missing.is_none(), "{:?}", functions.missing);
    let ResourceDetails::Function(details) = &functions.items[0].details else { panic!("{functions:?}") };
    assert_eq!((details.name.as_str(), details.runtime.as_str()), ("greet", "python3.12"));
    let (function, code) = discover_function(&session, &scope, "greet", LATEST).await.unwrap().unwrap();
    assert_eq!((function.tags, code.is_some()), (vec![("team".to_owned(), "blue".to_owned())], true));
    assert!(discover_function(&session, &scope, "nobody", LATEST).await.unwrap().is_none());

    let clusters = discover_clusters(&session).await;
    assert!(clusters.missing.is_none() && clusters.items.len() == 2, "{clusters:?}");
    assert!(clusters.items.contains(&moto.world["cluster"].as_str().unwrap().to_owned()), "{clusters:?}");
    for cluster in &clusters.items {
        // More tasks than are described at once; containers of moto are all on their way and never run.
        let running = discover_running(&session, cluster).await;
        assert!(running.missing.is_none() && running.items.is_empty(), "{running:?}");
    }
    let nowhere = discover_running(&session, "arn:aws:ecs:eu-west-1:123456789012:cluster/none").await;
    assert!(nowhere.missing.is_some_and(|error| error.is_refusal("ClusterNotFoundException")), "a cluster that is not there");

    let other = Scope::new("aws", "999999999999", "eu-west-1").unwrap();
    let foreign = discover_instances(&session, &other, &[]).await;
    assert!(foreign.missing.is_some() && foreign.items.is_empty());
}

#[tokio::test]
async fn the_network_that_moto_serves_is_read_as_it_is() {
    let Some(moto) = Moto::start("moto_estate.py") else { return };
    let network = describe_network(&session(&moto)).await.unwrap();
    let snapshot = read_descriptions(std::slice::from_ref(&network.document)).unwrap();
    assert!(snapshot.problems.is_empty(), "{:?}", snapshot.problems);
    let analysis = evaluate(&snapshot);
    let open: Vec<(u16, u16)> =
        analysis.openings.iter().filter(|open| open.instance.as_deref() == moto.world["instances"][0].as_str()).map(|o| o.ports).collect();
    assert_eq!(open, [(22, 22)], "{:?} {:?}", network.gaps, analysis.openings);
}

/// What only calls of their own say: whether groups count over a transit gateway, and whether classic load balancers keep to a zone.
#[tokio::test]
async fn options_of_transit_gateways_and_classic_load_balancers_are_asked_for() {
    let Some(mut moto) = Moto::start("moto_joined.py") else { return };
    let described = async |moto: &Moto| read_descriptions(&[describe_network(&session(moto)).await.unwrap().document]).unwrap();
    let snapshot = described(&moto).await;
    let crosses = |name: &str| snapshot.load_balancers[name].cross_zone;
    assert_eq!((crosses("keeps-to-its-zone"), crosses("crosses-zones")), (false, true));

    let gateway = moto.world["gateway"].as_str().unwrap().to_owned();
    assert_eq!(snapshot.transit_gateways, [(gateway.clone(), true)].into());
    let said: Vec<_> = snapshot.transit_attachments.values().map(|attachment| attachment.group_references).collect();
    assert_eq!(said, [Some(true), Some(true)]);
    let is_told = |problem: &String| problem.contains("of another VPC");
    assert!(!snapshot.problems.iter().any(is_told), "{:?}", snapshot.problems);

    assert_eq!(moto.ask()["SecurityGroupReferencingSupport"], "disable");
    assert_eq!(described(&moto).await.transit_gateways, [(gateway, false)].into());
}

#[tokio::test]
async fn one_object_of_a_network_is_asked_for_by_itself() {
    let Some(moto) = Moto::start("moto_estate.py") else { return };
    let session = session(&moto);
    let network = describe_network(&session).await.unwrap().document;
    let first = |list: &str, name: &str| network[list][0][name].as_str().unwrap().to_owned();
    for object in [
        NetworkObject::Group(first("SecurityGroups", "GroupId")),
        NetworkObject::Acl(first("NetworkAcls", "NetworkAclId")),
        NetworkObject::RouteTable(first("RouteTables", "RouteTableId")),
    ] {
        let (list, _, _) = object.place();
        assert_eq!(describe_object(&session, &object).await.unwrap().as_ref(), Some(&network[list][0]), "{object:?}");
    }
    for gone in [
        NetworkObject::Group("sg-00000000000000000".into()),
        NetworkObject::Acl("acl-00000000".into()),
        NetworkObject::RouteTable("rtb-00000000".into()),
    ] {
        assert_eq!(describe_object(&session, &gone).await.unwrap(), None, "{gone:?}");
    }
}
