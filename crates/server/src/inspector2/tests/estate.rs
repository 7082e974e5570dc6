//! What is asked of the estate.

use super::*;

#[test]
fn criteria_mean_what_they_mean_at_aws() {
    let lab = Lab::new();
    let all = ["api 0001 ACTIVE", "api 0002 ACTIVE", "api 0002 ACTIVE", "web 0001 ACTIVE", "web 0002 ACTIVE"];
    let ones = ["api 0001 ACTIVE", "web 0001 ACTIVE"];
    let twos = ["api 0002 ACTIVE", "api 0002 ACTIVE", "web 0002 ACTIVE"];
    for (criteria, expected) in [
        (json!({}), all.as_slice()),
        (json!({"severity": [equals("CRITICAL")]}), &ones),
        (json!({"severity": [equals("CRITICAL"), equals("MEDIUM")]}), &all),
        (json!({"severity": [equals("critical")]}), &[]),
        (json!({"severity": [not_equals("CRITICAL"), not_equals("LOW")]}), &twos),
        (json!({"severity": [equals("CRITICAL")], "ecrImageRepositoryName": [equals("web")]}), &ones[1..]),
        (json!({"ecrImageRepositoryName": [{"comparison": "PREFIX", "value": "w"}]}), &all[3..]),
        (json!({"fixAvailable": [equals("YES")]}), &ones),
        (json!({"inspectorScore": [{"lowerInclusive": 9.0}]}), &ones),
        (json!({"awsAccountId": [equals("444455556666")]}), &all[1..2]),
        (json!({"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": "prod"}]}), &all),
        (json!({"resourceTags": [{"comparison": "EQUALS", "key": "env", "value": "dev"}]}), &[]),
        (json!({"vulnerablePackages": [{"name": equals("left-pad"), "version": equals("1.0.0")}]}), &ones),
        (json!({"vulnerablePackages": [{"name": equals("left-pad"), "version": equals("1.0.1")}]}), &[]),
        (json!({"firstObservedAt": [{"endInclusive": 1_000_000_000}]}), &[]),
        (json!({"ec2InstanceVpcId": [equals("vpc-12345678")]}), &[]),
        (json!({"ec2InstanceVpcId": [not_equals("vpc-12345678")]}), &all),
    ] {
        assert_eq!(lab.findings(criteria.clone()), expected, "{criteria}");
    }
}

#[test]
fn pages_join_to_the_whole_and_tokens_are_bound() {
    let lab = Lab::new();
    for (target, list, base) in [
        ("/findings/list", "findings", json!({"maxResults": 2, "sortCriteria": {"field": "SEVERITY", "sortOrder": "DESC"}})),
        ("/coverage/list", "coveredResources", json!({"maxResults": 1})),
        ("/findings/aggregation/list", "responses", json!({"maxResults": 1, "aggregationType": "TITLE"})),
    ] {
        let mut request = base.clone();
        let (mut pages, mut all) = (0, Vec::new());
        loop {
            let page = lab.ask(target, request.clone());
            all.extend(page[list].as_array().unwrap().clone());
            pages += 1;
            let Some(token) = page.get("nextToken") else { break };
            request["nextToken"] = token.clone();
        }
        assert!(pages > 1, "{target}");
        let mut whole = base.clone();
        whole["maxResults"] = json!(100);
        assert_eq!(json!(all), lab.ask(target, whole)[list], "{target}");

        let token = lab.ask(target, base.clone())["nextToken"].as_str().unwrap().to_owned();
        let mut other = base.clone();
        match target {
            "/findings/aggregation/list" => other["aggregationType"] = json!("PACKAGE"),
            _ => other["filterCriteria"] = json!({"resourceId": [not_equals("x")]}),
        }
        for (mut request, token) in [(base.clone(), "x".repeat(64)), (base.clone(), format!("A{}", &token[1..])), (other, token)] {
            request["nextToken"] = json!(token);
            let (code, body) = lab.refused(target, request);
            assert_eq!((code.as_str(), &body["fields"][0]["name"]), ("ValidationException", &json!("nextToken")), "{target}");
        }
    }
}

#[test]
fn a_token_expires() {
    let lab = Lab::new();
    let request = json!({"maxResults": 1});
    let token = lab.ask("/coverage/list", request)["nextToken"].clone();
    lab.clock.0.fetch_add(25 * HOUR, Ordering::Relaxed);
    let (code, body) = lab.refused("/coverage/list", json!({"maxResults": 1, "nextToken": token}));
    assert_eq!(code, "ValidationException");
    assert!(body["message"].as_str().unwrap().contains("expired"));
}

#[test]
fn findings_are_counted_in_groups() {
    let lab = Lab::new();
    let groups = |body: Value, group: &str, key: &str| -> Vec<(String, i64, i64)> {
        let answer = lab.ask("/findings/aggregation/list", body);
        let rows = answer["responses"].as_array().unwrap().clone();
        let row = |row: Value| {
            let row = &row[group];
            let counts = &row["severityCounts"];
            (row[key].as_str().unwrap().to_owned(), counts["all"].as_i64().unwrap(), counts["critical"].as_i64().unwrap())
        };
        rows.into_iter().map(row).collect()
    };
    let own = |text: &str| text.to_owned();
    assert_eq!(
        groups(json!({"aggregationType": "ACCOUNT"}), "accountAggregation", "accountId"),
        [(own("111122223333"), 4, 2), (own("444455556666"), 1, 0)]
    );
    assert_eq!(
        groups(json!({"aggregationType": "PACKAGE"}), "packageAggregation", "packageName"),
        [(own("left-pad"), 2, 2), (own("is-odd"), 3, 0)]
    );
    let by_all =
        json!({"aggregationType": "PACKAGE", "aggregationRequest": {"packageAggregation": {"sortBy": "ALL", "sortOrder": "DESC"}}});
    assert_eq!(groups(by_all, "packageAggregation", "packageName")[0].0, "is-odd");
    let named = json!({"aggregationType": "PACKAGE", "aggregationRequest": {"packageAggregation": {"packageNames": [equals("is-odd")]}}});
    assert_eq!(groups(named, "packageAggregation", "packageName"), [(own("is-odd"), 3, 0)]);
    assert_eq!(
        groups(json!({"aggregationType": "REPOSITORY"}), "repositoryAggregation", "repository"),
        [(own("api"), 3, 1), (own("web"), 2, 1)]
    );
    let one = json!({"aggregationType": "AWS_ECR_CONTAINER", "accountIds": [equals("444455556666")]});
    assert_eq!(groups(one, "awsEcrContainerAggregation", "repository"), [(own("api"), 1, 0)]);
    assert_eq!(groups(json!({"aggregationType": "AWS_EC2_INSTANCE"}), "ec2InstanceAggregation", "instanceId"), []);
    let layers = |criteria: Value| {
        let asked = json!({"aggregationType": "IMAGE_LAYER", "aggregationRequest": {"imageLayerAggregation": criteria}});
        groups(asked, "imageLayerAggregation", "layerHash").len()
    };
    // A criterion that no finding meets is not passed over.
    let met = [json!({}), json!({"cloudAccountIds": [equals("444455556666")]})];
    let unmet = [json!({"cloudAccountIds": [equals("999999999999")]}), json!({"cloudProviders": [equals("AZURE")]})];
    assert_eq!((met.map(layers), unmet.map(layers)), ([1, 1], [0, 0]));
    assert_eq!(groups(json!({"aggregationType": "LAMBDA_LAYER"}), "lambdaLayerAggregation", "layerArn"), []);
    let wrong = json!({"aggregationType": "TITLE", "aggregationRequest": {"packageAggregation": {}}});
    assert_eq!(lab.refused("/findings/aggregation/list", wrong).0, "ValidationException");
}

#[test]
fn coverage_says_what_is_looked_at() {
    let lab = Lab::new();
    let covered =
        |criteria: Value| lab.ask("/coverage/list", json!({"filterCriteria": criteria}))["coveredResources"].as_array().unwrap().len();
    assert_eq!(covered(json!({})), 3);
    assert_eq!(covered(json!({"ecrRepositoryName": [equals("api")]})), 2);
    assert_eq!(covered(json!({"ecrRepositoryName": [equals("api")], "accountId": [not_equals("444455556666")]})), 1);
    assert_eq!(covered(json!({"scanStatusCode": [equals("INACTIVE")]})), 0);
    assert_eq!(covered(json!({"ec2InstanceTags": [{"comparison": "EQUALS", "key": "env"}]})), 0);
    assert_eq!(covered(json!({"lastScannedAt": [{"startInclusive": 1_763_000_000}]})), 3);
    assert_eq!(covered(json!({"ecrImageInUseCount": [{"lowerInclusive": 0}]})), 0);
    let none = json!({"groupBy": "ACCOUNT_ID", "filterCriteria": {"scanStatusCode": [equals("INACTIVE")]}});
    assert_eq!(lab.ask("/coverage/statistics/list", none), json!({"totalCounts": 0}));
    let counts = lab.ask("/coverage/statistics/list", json!({"groupBy": "ACCOUNT_ID"}));
    assert_eq!(
        counts,
        json!({"totalCounts": 3, "countsByGroup": [{"count": 2, "groupKey": "111122223333"}, {"count": 1, "groupKey": "444455556666"}]})
    );
    assert_eq!(lab.ask("/coverage/statistics/list", json!({})), json!({"totalCounts": 3}));
}

/// Two clusters run an image, one of them twice; another image ran once.
fn with_uses(lab: &Lab) -> [String; 2] {
    let key = |repository, digest| image("111122223333", repository, digest, &[]).resource.key;
    let usage =
        |cluster: &str, count, seconds: i64| ImageUse { cluster: cluster.to_owned(), count, last: Timestamp::from_millis(seconds * 1000) };
    let (web, api) = (key("web", 'a'), key("api", 'b'));
    let ecs = "arn:aws:ecs:eu-west-1:111122223333:cluster/shop";
    let uses = [
        (vec![usage("prod", 2, 1_763_000_000), usage(ecs, 1, 1_763_000_100)], web.clone()),
        (vec![usage("prod", 0, 1_762_000_000)], api.clone()),
    ];
    assert!(lab.core.set_uses(uses.into_iter()).unwrap());
    [web.id, api.id]
}

#[test]
fn where_images_run_is_told_and_filtered_by() {
    let lab = Lab::new();
    let count = |low: Value, high: Value| json!([{"lowerInclusive": low, "upperInclusive": high}]);
    let running = json!({"ecrImageInUseCount": [{"lowerInclusive": 1}]});
    let since = json!({"ecrImageLastInUseAt": [{"startInclusive": 1_763_000_050}]});
    let covered = |criteria: &Value| lab.ask("/coverage/list", json!({"filterCriteria": criteria}))["coveredResources"].clone();
    // Of what nobody tells it is not said that it does not run.
    assert_eq!(lab.findings(json!({"ecrImageInUseCount": count(json!(0), json!(0))})), [""; 0]);
    let [web, _] = with_uses(&lab);
    let ran = ["api 0001 ACTIVE", "api 0002 ACTIVE"];
    let runs = ["web 0001 ACTIVE", "web 0002 ACTIVE"];
    assert_eq!(lab.findings(json!({"ecrImageInUseCount": count(json!(0), json!(0))})), ran);
    for criteria in [&running, &since, &json!({"cloudImageInUseCount": count(json!(3), json!(3))})] {
        assert_eq!(lab.findings(criteria.clone()), runs, "{criteria}");
    }
    let found = lab.ask("/findings/list", json!({"filterCriteria": since, "maxResults": 1}));
    let details = &found["findings"][0]["resources"][0]["details"]["awsEcrContainerImage"];
    assert_eq!((&details["inUseCount"], &details["lastInUseAt"]), (&json!(3), &json!(1_763_000_100.0)), "{details}");
    for criteria in [&running, &since] {
        let rows = covered(criteria);
        let metadata = json!({"tags": ["latest"], "lastInUseAt": 1_763_000_100.0, "inUseCount": 3});
        assert_eq!((rows.as_array().unwrap().len(), &rows[0]["resourceMetadata"]["ecrImage"]), (1, &metadata), "{criteria}");
    }
    assert_eq!(covered(&json!({"ecrImageInUseCount": [{"upperInclusive": 2}]})).as_array().unwrap().len(), 1);
    assert_eq!(covered(&json!({"resourceId": [equals(&web)]}))[0]["resourceMetadata"]["ecrImage"]["inUseCount"], 3);

    // When it was pulled is the registry's to tell.
    let pulled = json!({"imagePulledAt": [{"startInclusive": 1_763_000_150}]});
    assert_eq!(covered(&pulled), json!([]));
    let key = image("111122223333", "web", 'a', &[]).resource.key;
    lab.core.set_pulled(&[(key, Some(Timestamp::from_millis(1_763_000_200_000)))]);
    assert_eq!(covered(&pulled)[0]["resourceMetadata"]["ecrImage"]["imagePulledAt"], 1_763_000_200.0);

    let containers = |request: Value| {
        let body = json!({"aggregationType": "AWS_ECR_CONTAINER", "aggregationRequest": {"awsEcrContainerAggregation": request}});
        let answer = lab.ask("/findings/aggregation/list", body);
        let rows = answer["responses"].as_array().unwrap().iter();
        rows.map(|row| {
            let row = &row["awsEcrContainerAggregation"];
            (row["repository"].as_str().unwrap().to_owned(), row["inUseCount"].as_i64(), row["lastInUseAt"].as_f64())
        })
        .collect::<Vec<_>>()
    };
    let web = ("web".to_owned(), Some(3), Some(1_763_000_100.0));
    let api = ("api".to_owned(), Some(0), Some(1_762_000_000.0));
    assert_eq!(containers(json!({"inUseCount": [{"lowerInclusive": 1}]})), std::slice::from_ref(&web));
    assert_eq!(containers(json!({"lastInUseAt": [{"endInclusive": 1_762_500_000}]})), std::slice::from_ref(&api));
    let all = containers(json!({}));
    assert!(all.len() == 3 && all.contains(&web) && all.contains(&api) && all.contains(&("api".to_owned(), None, None)), "{all:?}");
}

#[test]
fn the_clusters_of_an_image_are_told_page_by_page() {
    let lab = Lab::new();
    let [web, api] = with_uses(&lab);
    let ask = |id: &str, more: Value| {
        let mut body = json!({"filter": {"resourceId": id}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        lab.ask("/cluster/get", body)
    };
    let prod = |count: u32, last: f64| {
        let metadata = json!({"awsEksMetadataDetails": {}});
        json!({"clusterArn": "arn:aws:eks:eu-west-1:111122223333:cluster/prod",
            "clusterDetails": [{"lastInUse": last, "runningUnitCount": count, "clusterMetadata": metadata}]})
    };
    let ecs = json!({"clusterArn": "arn:aws:ecs:eu-west-1:111122223333:cluster/shop"});
    assert_eq!(ask(&web, json!({})), json!({"cluster": [ecs, prod(2, 1_763_000_000.0)]}));
    let first = ask(&web, json!({"maxResults": 1}));
    assert_eq!(first["cluster"], json!([ecs]));
    let second = ask(&web, json!({"maxResults": 1, "nextToken": first["nextToken"]}));
    assert_eq!(second, json!({"cluster": [prod(2, 1_763_000_000.0)]}));
    assert_eq!(ask(&api, json!({})), json!({"cluster": [prod(0, 1_762_000_000.0)]}));
    let (repository, _) = web.rsplit_once('/').unwrap();
    assert_eq!(ask(repository, json!({}))["cluster"].as_array().unwrap().len(), 2);
    assert_eq!(ask(&web.replace("/web/", "/we/"), json!({})), json!({"cluster": []}));
    // What another scope runs is nobody else's business.
    let secret = image("777788889999", "secret", 'd', &[]).resource.key;
    let usage = ImageUse { cluster: "prod".into(), count: 1, last: lab.clock.now() };
    assert!(lab.core.set_uses([(vec![usage], secret.clone())].into_iter()).unwrap());
    assert_eq!(ask(&secret.id, json!({})), json!({"cluster": []}));
}

/// What is unusual in the core is still what the model says: no score, no tags, no fix, a system's packages, a machine.
#[test]
fn sparse_and_strange_findings_conform_too() {
    let lab = Lab::new();
    let records = lab.folder.path().join("strange.json");
    let long = "ä".repeat(5000);
    let debian = |package: &str| {
        json!({"package": {"ecosystem": "Debian:12", "name": package},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]})
    };
    let strange = json!([
        {"id": "DEBIAN-CVE-2026-7", "aliases": ["CVE-2026-0007"], "modified": "2026-01-01T00:00:00Z", "details": long, "affected": [debian("openssl")]},
        {"id": "CVE-2026-0008", "modified": "2026-01-01T00:00:00Z", "affected": [debian("bash")],
            "severity": [{"type": "CVSS_V4", "score": "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}]},
    ]);
    std::fs::write(&records, strange.to_string()).unwrap();
    let (_, index) = lab.core.library.open_current().unwrap();
    let mut importer = Importer::on_top_of(&index, lab.clock.now()).unwrap();
    importer.import(&records).unwrap();
    lab.core.library.publish(&importer.finish().unwrap().0).unwrap();
    lab.core.refresh_intelligence().unwrap();

    let system = |name: &str, version: &str| {
        let place = Occurrence {
            component: 0,
            path: "var/lib/dpkg/status".into(),
            layer: None,
            arch: Some("amd64".into()),
            manager: Manager::Dpkg,
        };
        (Component::new("Debian:12".parse::<Ecosystem>().unwrap(), name, version), place)
    };
    let packages = vec![system("libssl3", "3.0.9-1"), system("bash", "1:5.2")];
    let packages = packages.into_iter().map(|(c, p)| (if c.name == "libssl3" { c.from_source("openssl", "3.0.9-1") } else { c }, p));
    let mut strange = image("111122223333", "strange", 'f', &[]);
    strange.inventory = Some(Inventory::assemble(None, packages.collect(), vec![]));
    if let ResourceDetails::Image(details) = &mut strange.resource.details {
        details.tags.clear();
        details.architecture.clear();
    }
    let mut machine = strange.clone();
    machine.resource.key.kind = ResourceKind::Instance;
    machine.resource.key.id = "i-0123456789abcdef0".into();
    machine.resource.details = ResourceDetails::None;
    machine.resource.tags.clear();
    machine.coverage[0].last_scanned = None;
    machine.coverage[0].reason = CoverageReason::NoInventory;
    lab.core.observe(strange).unwrap();
    lab.core.observe(machine).unwrap();

    let found = lab.ask(
        "/findings/list",
        json!({"filterCriteria": {"vulnerabilityId": [{"comparison": "PREFIX", "value": "CVE-2026-000"}],
        "fixAvailable": [equals("NO")], "awsAccountId": [equals("111122223333")]}}),
    );
    assert_eq!(found["findings"].as_array().unwrap().len(), 2 + 4);
    for id in ["CVE-2026-0007", "CVE-2026-0008"] {
        lab.ask("/vulnerabilities/search", json!({"filterCriteria": {"vulnerabilityIds": [id]}}));
    }
    lab.ask("/coverage/list", json!({}));
    for kind in ["ACCOUNT", "PACKAGE", "TITLE", "AWS_EC2_INSTANCE", "AWS_ECR_CONTAINER", "REPOSITORY", "IMAGE_LAYER", "FINDING_TYPE"] {
        lab.ask("/findings/aggregation/list", json!({"aggregationType": kind}));
    }
}

/// One resource of which nothing is known must not take the page from all others.
#[test]
fn a_resource_without_details_is_listed_all_the_same() {
    let lab = Lab::new();
    let mut bare = image("111122223333", "bare", 'f', &[("left-pad", "1.0.0")]);
    bare.resource.details = ResourceDetails::Image(ImageDetails::default());
    lab.core.observe(bare).unwrap();
    // Such a finding cannot be what the model says, so it is asked for around the check.
    let request = lab.signed("admin", "POST", "/findings/list", "{}");
    let response = lab.front.answer(&lab.front.holder(&request).unwrap(), &request);
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, body["findings"].as_array().map(Vec::len)), (200, Some(6)), "{body}");
}

#[test]
fn vulnerabilities_are_known_whether_found_or_not() {
    let lab = Lab::new();
    let search = |id: &str| lab.ask("/vulnerabilities/search", json!({"filterCriteria": {"vulnerabilityIds": [id]}}));
    assert_eq!(search("CVE-2026-0001")["vulnerabilities"][0]["cvss3"]["baseScore"], 9.8);
    assert_eq!(search("CVE-2026-0003")["vulnerabilities"][0]["id"], "CVE-2026-0003");
    assert_eq!(search("CVE-2026-9999"), json!({"vulnerabilities": []}));
    let arn = lab.ask("/findings/list", json!({"maxResults": 1}))["findings"][0]["findingArn"].clone();
    let other = format!("arn:aws:inspector2:eu-west-1:111122223333:finding/{}", "0".repeat(32));
    let details = lab.ask("/findings/details/batch/get", json!({"findingArns": [arn, other]}));
    assert_eq!(details["findingDetails"][0]["findingArn"], arn);
    assert_eq!(details["errors"][0]["errorCode"], "FINDING_DETAILS_NOT_FOUND");
}

#[test]
fn nobody_sees_a_scope_that_is_not_theirs() {
    let lab = Lab::new();
    let secret = [equals("777788889999")];
    assert!(lab.findings(json!({"awsAccountId": secret})).is_empty());
    let text = [
        lab.ask("/findings/list", json!({})),
        lab.ask("/coverage/list", json!({})),
        lab.ask("/findings/aggregation/list", json!({"aggregationType": "ACCOUNT"})),
        lab.ask("/members/list", json!({})),
    ];
    assert!(text.iter().all(|answer| !answer.to_string().contains("777788889999")));
}
