//! Packets through networks that other analysers' authors described (`vpc`): each query arrives, or does not, as they say.

use lestrade_reachability::{Cidr, Packet, RangeSet, Snapshot, internet, read_descriptions, trace};
use serde_json::Value;
use std::net::IpAddr;
use std::path::Path;

/// The address that a query's end is.
fn address(snapshot: &Snapshot, end: &str) -> IpAddr {
    if let Some(block) = end.strip_prefix("internet:") {
        let block: Cidr = block.parse().unwrap();
        // The first address of the block that is on the internet.
        let on_internet = internet(block.family).intersection(&RangeSet::of([block.bounds()]));
        return block.family.address(on_internet.first().unwrap_or(block.bounds().0));
    }
    end.parse().unwrap_or_else(|_| {
        let interface = snapshot.interfaces.values().find(|interface| interface.instance.as_deref() == Some(end));
        interface.unwrap_or_else(|| panic!("{end}")).addresses[0].private
    })
}

#[test]
#[allow(clippy::print_stdout, reason = "a suite tells how it went")]
fn queries_of_other_analysers() {
    let root = std::env::var("LESTRADE_EVALS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/shared/evals").into());
    let (mut passed, mut failed) = (0, Vec::new());
    for case in std::fs::read_dir(Path::new(&root).join("vpc")).into_iter().flatten().flatten().map(|entry| entry.path()) {
        let read = |name: &str| -> Value { serde_json::from_slice(&std::fs::read(case.join(name)).unwrap()).unwrap() };
        let (input, expected) = (read("input.json"), read("expected.json"));
        let snapshot = read_descriptions(&[input]).unwrap();
        for query in expected["queries"].as_array().unwrap() {
            let text = |key: &str| query[key].as_str().unwrap();
            let port = |key: &str, or: u16| query[key].as_u64().map_or(or, |port| u16::try_from(port).unwrap());
            let protocol = match text("protocol") {
                "tcp" => 6,
                "udp" => 17,
                "icmp" => 1,
                number => number.parse().unwrap(),
            };
            let packet = Packet {
                source: address(&snapshot, text("src")),
                source_port: port("src_port", 40_000),
                destination: address(&snapshot, text("dst")),
                port: port("dst_port", 0),
                protocol,
            };
            let journey = trace(&snapshot, &packet);
            let replies = query["tcp_response_allowed"].as_bool().is_none_or(|allowed| allowed == journey.reply_blocked.is_none());
            if journey.arrives() == query["reachable"] && replies {
                passed += 1;
            } else {
                failed.push(format!("{}: {query}: {journey:?}", case.display()));
            }
        }
    }
    if passed + failed.len() == 0 {
        println!("LOUD: the vpc suite is not laid out; nothing was compared");
    }
    println!("vpc: {passed} passed, {} failed", failed.len());
    assert!(failed.is_empty(), "{failed:#?}");
}
