//! Event patterns against what EventBridge and the open event-ruler say (`eventbridge`), and all rules at once against one by one.

use lestrade_events::{EventFields, Pattern, RuleSet};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;

/// What a test of a pattern on a bus answers.
fn answer(pattern: &str, event: Option<&str>, on_bus: bool) -> &'static str {
    let Ok(pattern) = Pattern::parse(pattern) else { return "error" };
    let Some(event) = event else { return "valid" };
    let Ok(event) = serde_json::from_str::<Value>(event) else { return "error" };
    let fields = if on_bus { EventFields::of_bus(&event) } else { EventFields::of(&event) };
    match fields {
        Err(_) => "error",
        Ok(fields) if pattern.matches(&fields) => "true",
        Ok(_) => "false",
    }
}

#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn what_eventbridge_and_its_ruler_say() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let (mut passed, mut failed) = (0, Vec::new());
    for file in std::fs::read_dir(Path::new(&root).join("eventbridge")).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let suite: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        // Only what AWS itself was asked holds events to its envelope.
        let on_bus = file.ends_with("localstack-event-pattern-templates.json");
        for case in suite["cases"].as_array().unwrap() {
            let expected = case["expected"].as_str().unwrap();
            let ours = answer(case["pattern"].as_str().unwrap(), case["event"].as_str(), on_bus);
            if ours == expected {
                passed += 1;
            } else {
                failed.push(format!("{}: {case}: ours {ours}", file.display()));
            }
        }
    }
    if passed + failed.len() == 0 {
        println!("LOUD: the eventbridge suite is not laid out; nothing was compared");
    }
    println!("eventbridge: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn refusals_say_where() {
    for (pattern, said) in [
        ("{", "line 1, column 1: not JSON"),
        ("{}", "pattern: empty objects are not allowed"),
        (r#"{"detail": {"state": "running"}}"#, "detail.state: it must be an object or an array"),
        (r#"{"detail": {"state": [{"prefix": 1}]}}"#, "detail.state: 'prefix' must be a string, or a string with 'equals-ignore-case'"),
        (r#"{"a": [{"numeric": [">", 5, "<", 1]}]}"#, "a: in 'numeric' the lower end must be less than the upper"),
        (r#"{"a": [{"PREFIX": "x"}]}"#, "a: 'PREFIX' is no operator"),
    ] {
        assert_eq!(Pattern::parse(pattern).unwrap_err().to_string(), said);
    }
}

/// What the documentation and the open ruler say of corners that no suite at hand shows.
#[test]
fn odd_corners() {
    let table: [(&str, &str, &str); 67] = [
        // A block has more than one address, and any spelling of its base.
        (r#"{"a": [{"cidr": "10.0.0.1/32"}]}"#, "{}", "error"),
        (r#"{"a": [{"cidr": "2001:db8::1/128"}]}"#, "{}", "error"),
        (r#"{"a": [{"cidr": "10.0.0.1/31"}]}"#, r#"{"a": "10.0.0.0"}"#, "true"),
        (r#"{"a": [{"cidr": "010.0.0.0/8"}]}"#, r#"{"a": "10.1.2.3"}"#, "true"),
        (r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#, r#"{"a": "010.001.002.003"}"#, "true"),
        (r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#, r#"{"a": "a00::1"}"#, "false"),
        (r#"{"a": [{"cidr": "::/0"}]}"#, r#"{"a": "10.0.0.1"}"#, "false"),
        (r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#, r#"{"a": "::ffff:a00:1"}"#, "true"),
        (r#"{"a": [{"cidr": "10.0.0.0/-1"}]}"#, "{}", "error"),
        (r#"{"a": [{"cidr": "10.0.0.0/8/8"}]}"#, "{}", "error"),
        (r#"{"a": [{"cidr": "10.0.0/8"}]}"#, "{}", "error"),
        // Each character in its two cases, however long those are.
        (r#"{"a": [{"equals-ignore-case": "ß"}]}"#, r#"{"a": "SS"}"#, "true"),
        (r#"{"a": [{"equals-ignore-case": "ß"}]}"#, r#"{"a": "ss"}"#, "false"),
        (r#"{"a": [{"equals-ignore-case": "Straße"}]}"#, r#"{"a": "STRASSE"}"#, "true"),
        (r#"{"a": [{"equals-ignore-case": "STRASSE"}]}"#, r#"{"a": "straße"}"#, "false"),
        (r#"{"a": [{"equals-ignore-case": "ασ"}]}"#, r#"{"a": "ΑΣ"}"#, "true"),
        (r#"{"a": [{"equals-ignore-case": "k"}]}"#, r#"{"a": "\u212a"}"#, "false"),
        (r#"{"a": [{"suffix": {"equals-ignore-case": "ß"}}]}"#, r#"{"a": "abcSS"}"#, "true"),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": "ß"}}]}"#, r#"{"a": "SS"}"#, "false"),
        // Of `anything-but` all forms take one text or several, and nothing else.
        (r#"{"a": [{"anything-but": {"prefix": []}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"wildcard": []}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": []}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"suffix": ["a", 1]}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"prefix": {"equals-ignore-case": "a"}}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"prefix": "a", "suffix": "b"}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"exists": true}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": [null]}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"prefix": ["a", "b"]}}]}"#, r#"{"a": 1}"#, "true"),
        (r#"{"a": [{"anything-but": {"wildcard": "a*"}}]}"#, r#"{"a": ["ab", "b"]}"#, "true"),
        (r#"{"a": [{"anything-but": {"wildcard": "a**"}}]}"#, "{}", "error"),
        (r#"{"a": [{"prefix": ""}]}"#, r#"{"a": 1}"#, "false"),
        // An account's number is no other one.
        (r#"{"a": [9007199254740993]}"#, r#"{"a": 9007199254740992}"#, "false"),
        (r#"{"a": [9007199254740993]}"#, r#"{"a": 9007199254740993}"#, "true"),
        // What is no `$or` is a field, and then no other `$or` of the pattern is one.
        (r#"{"$or": [{"x": {"prefix": ["y"]}}, {"z": [1]}]}"#, "{}", "error"),
        (r#"{"$or": ["x"]}"#, r#"{"$or": "x"}"#, "true"),
        (r#"{"$or": [{"prefix": "x"}, {"suffix": "y"}]}"#, r#"{"$or": "by"}"#, "true"),
        (r#"{"a": {"$or": ["x"]}, "$or": [{"b": [1]}, {"c": [1]}]}"#, "{}", "error"),
        (r#"{"a": [{"numeric": ["=", 5000000001]}]}"#, "{}", "error"),
        (r#"{"a": [{"numeric": [">", 0.1234567]}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": [6000000000]}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": 6000000000}]}"#, "{}", "error"),
        (r#"{"a": [{"numeric": [">", -5000000000, "<=", 5000000000]}]}"#, r#"{"a": 0.000001}"#, "true"),
        (r#"{"a": [{"numeric": [">", 0]}]}"#, r#"{"a": 6000000000}"#, "false"),
        (r#"{"a": [{"numeric": [">", 0]}]}"#, r#"{"a": "1"}"#, "false"),
        (r#"{"a": [123456789012]}"#, r#"{"a": 123456789012}"#, "true"),
        (r#"{"a": [300]}"#, r#"{"a": 3.0e2}"#, "true"),
        (r#"{"a": ["2001:db8::1"]}"#, r#"{"a": "2001:0DB8:0:0:0:0:0:1"}"#, "true"),
        (r#"{"a": [{"cidr": "2001:db8::/32"}]}"#, r#"{"a": "2001:db8:ffff::1"}"#, "true"),
        (r#"{"a": [{"cidr": "2001:db8::/32"}]}"#, r#"{"a": "2001:db9::1"}"#, "false"),
        (r#"{"a": [{"cidr": "2001:db8::/129"}]}"#, "{}", "error"),
        (r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#, r#"{"a": "::ffff:10.0.0.1"}"#, "false"),
        (r#"{"a": [""]}"#, r#"{"a": ""}"#, "true"),
        (r#"{"a": [null]}"#, r#"{"a": ""}"#, "false"),
        (r#"{"a": [{"exists": false}]}"#, r#"{"a": null}"#, "false"),
        (r#"{"a": [{"exists": true}]}"#, r#"{"a": {}}"#, "false"),
        (r#"{"a": {"b": [{"exists": false}]}}"#, r#"{"a": {"c": 1}}"#, "true"),
        (r#"{"a": [{"wildcard": "\\**\\\\"}]}"#, r#"{"a": "*x\\"}"#, "true"),
        (r#"{"a": [{"anything-but": {"wildcard": ["*/lib/*", "*.png"]}}]}"#, r#"{"a": "/bin/x.png"}"#, "false"),
        (r#"{"a": [{"anything-but": {"suffix": [".a", ".b"]}}]}"#, r#"{"a": "x.c"}"#, "true"),
        (r#"{"a": [{"anything-but": {"prefix": ""}}]}"#, "{}", "error"),
        (r#"{"a": [{"anything-but": {"equals-ignore-case": ["ÄB", "x"]}}]}"#, r#"{"a": "äb"}"#, "false"),
        (r#"{"a": [{"anything-but": true}]}"#, "{}", "error"),
        // A name that is said twice counts as it was said last; so does a field beside `$or` and within it.
        (r#"{"a": ["x"], "a": ["y"]}"#, r#"{"a": "y"}"#, "true"),
        (r#"{"a": ["x"], "$or": [{"a": ["y"]}, {"b": ["z"]}]}"#, r#"{"a": "y"}"#, "true"),
        (r#"{"$or": [{"a": ["y"]}, {"$or": [{"b": ["z"]}, {"c": [1]}]}], "d": [true]}"#, r#"{"c": 1, "d": true}"#, "true"),
        (r#"{"a": {"b": ["x"], "c": ["y"]}}"#, r#"{"a": [{"b": "x", "c": "n"}, {"b": "n", "c": "y"}]}"#, "false"),
        (r#"{"a": [{"prefix": {"equals-ignore-case": "STRASS"}}]}"#, r#"{"a": "strasse"}"#, "true"),
    ];
    for (pattern, event, expected) in table {
        assert_eq!(answer(pattern, Some(event), false), expected, "{pattern} {event}");
    }
}

#[test]
fn a_miss_names_its_field() {
    let pattern = Pattern::parse(r#"{"source": ["aws.ec2"], "detail": {"state": ["running"]}}"#).unwrap();
    let event = |value: Value| EventFields::of(&value).unwrap();
    assert_eq!(pattern.first_miss(&event(json!({"source": "aws.ec2", "detail": {"state": "stopped"}}))).as_deref(), Some("detail.state"));
    assert_eq!(pattern.first_miss(&event(json!({"source": "aws.ec2", "detail": {"state": "running"}}))), None);
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "ab", "AB", "b", "", "10.0.0.1"]).prop_map(|text| json!(text)),
        2 => (0..4).prop_map(|number| json!(number)),
        1 => prop::sample::select(vec![Value::Null, json!(true), json!(0.5)]),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![3 => scalar(), 1 => prop::collection::vec(scalar(), 0..3).prop_map(Value::Array)];
    let object = prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), leaf.clone(), 0..3).prop_map(|map| json!(map));
    let member = prop_oneof![3 => leaf, 2 => object.clone(), 2 => prop::collection::vec(object, 0..3).prop_map(Value::Array)];
    prop::collection::btree_map(prop::sample::select(vec!["p", "q", "r"]), member, 0..4).prop_map(|map| json!(map))
}

fn pattern() -> impl Strategy<Value = Value> {
    let operator = prop_oneof![
        scalar(),
        prop::sample::select(vec!["a", "b", ""]).prop_map(|text| json!({"prefix": text})),
        prop::sample::select(vec!["b", "B"]).prop_map(|text| json!({"suffix": {"equals-ignore-case": text}})),
        Just(json!({"suffix": "b"})),
        Just(json!({"equals-ignore-case": "ab"})),
        Just(json!({"wildcard": "a*"})),
        Just(json!({"numeric": [">", 0, "<=", 2]})),
        Just(json!({"cidr": "10.0.0.0/8"})),
        any::<bool>().prop_map(|exists| json!({"exists": exists})),
        Just(json!({"anything-but": ["a", "b"]})),
        Just(json!({"anything-but": {"prefix": "a"}})),
    ];
    let leaf = prop::collection::vec(operator, 1..3).prop_map(Value::Array);
    let object = prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), leaf.clone(), 1..3).prop_map(|map| json!(map));
    let member = prop_oneof![leaf, object];
    let plain = prop::collection::btree_map(prop::sample::select(vec!["p", "q", "r"]), member, 1..3).prop_map(|map| json!(map));
    prop_oneof![3 => plain.clone(), 1 => prop::collection::vec(plain, 2..4).prop_map(|choices| json!({"$or": choices}))]
}

proptest! {
    /// All rules at once answer as each by itself.
    #[test]
    fn a_set_answers_as_its_rules(patterns in prop::collection::vec(pattern(), 0..12), events in prop::collection::vec(event(), 1..8)) {
        let rules: Vec<(String, Pattern)> =
            patterns.iter().enumerate().map(|(number, pattern)| (format!("rule-{number}"), Pattern::of(pattern).unwrap())).collect();
        let set = RuleSet::new(rules.clone());
        for event in events {
            let fields = EventFields::of(&event).unwrap();
            let one_by_one: Vec<&str> = rules.iter().filter(|(_, pattern)| pattern.matches(&fields)).map(|(name, _)| name.as_str()).collect();
            prop_assert_eq!(set.matching(&fields), one_by_one, "{}", event);
        }
    }

    #[test]
    fn no_text_makes_the_parser_fall_over(text in ".{0,200}") {
        let _ = Pattern::parse(&text);
        let _ = Pattern::parse(&format!("{{\"a\": [{{\"wildcard\": {}}}]}}", json!(text)));
    }
}

/// Cases that the reference derived: EventBridge's answers, and array consistency.
#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn cases_of_the_reference() {
    let root =
        std::env::var("LESTRADE_REFERENCE").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/reference").into());
    let read = |name: &str| std::fs::read_to_string(Path::new(&root).join("inspector-data").join(name)).unwrap_or_default();
    let mut cases: Vec<Value> = read("eventpattern-cases.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    cases.extend(serde_json::from_str::<Vec<Value>>(&read("event-ruler-correctness-cases.json")).unwrap_or_default());
    if cases.is_empty() {
        println!("LOUD: the reference's cases are not at hand; nothing was compared");
    }
    let mut failed = Vec::new();
    for case in &cases {
        let pattern = if case["pattern"].is_null() { &case["rule"] } else { &case["pattern"] };
        let expected = case["expect"].as_str().or(case["derived_expect"].as_str()).unwrap();
        let ours = match Pattern::of(pattern) {
            Err(_) => "error",
            Ok(pattern) if pattern.matches(&EventFields::of(&case["event"]).unwrap_or_default()) => "match",
            Ok(_) => "no-match",
        };
        let same = ours == expected || (ours == "error" && expected == "invalid-pattern");
        if !same {
            failed.push(format!("{case}: ours {ours}"));
        }
    }
    println!("reference: {} passed, {} failed", cases.len() - failed.len(), failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
