//! What a network lets in, for a person, a program and the eye: a table, JSON, a picture of each way.

use crate::{TableStyle, printable};
use lestrade_reachability::{
    Analysis, Blocked, Breadth, Difference, Journey, Mode, Opening, OpeningSeverity, Part, RangeSet, Snapshot, SourceClass, blocks,
    internet,
};
use serde_json::{Value, json};
use std::fmt::Write;

/// The most blocks of addresses that are written of one opening; the rest is counted.
const MAX_SOURCES: usize = 64;
/// At most this many parts of an opening are told one by one.
const MAX_PARTS: usize = 12;
/// At most this many ways are drawn.
const MAX_WAYS: usize = 200;
/// At most this many things that are not known are named in a table.
const MAX_UNKNOWN: usize = 20;

const RED: &str = "31;1";
const YELLOW: &str = "33";
const BLUE: &str = "34";
const BOLD: &str = "1";
const DIM: &str = "2";

/// Whether something of the network is not known, so that more may be open than is said.
#[must_use]
pub fn exposure_is_partial(snapshot: &Snapshot, analysis: &Analysis) -> bool {
    !snapshot.problems.is_empty() || !analysis.unknown.is_empty()
}

/// The openings, the worst first.
fn sorted(openings: &[Opening], mode: Mode) -> Vec<&Opening> {
    let mut sorted: Vec<&Opening> = openings.iter().collect();
    sorted.sort_by_key(|open| (std::cmp::Reverse(mode.severity(open)), open.class, std::cmp::Reverse(open.breadth())));
    sorted
}

const fn paint(severity: OpeningSeverity) -> &'static str {
    match severity {
        OpeningSeverity::High => RED,
        OpeningSeverity::Medium => YELLOW,
        OpeningSeverity::Low => BLUE,
        OpeningSeverity::Informational => DIM,
    }
}

const fn from(class: SourceClass) -> &'static str {
    match class {
        SourceClass::Internet => "the internet",
        SourceClass::Peer => "a peered network",
        SourceClass::Vpn => "VPN or Direct Connect",
        SourceClass::Transit => "a transit gateway",
        SourceClass::LoadBalancer => "the internet, over a load balancer",
        SourceClass::Appliance => "the internet, if an appliance lets it pass",
    }
}

fn ports(open: &Opening) -> String {
    range(open, open.ports)
}

fn range(open: &Opening, ports: (u16, u16)) -> String {
    let protocol = if open.protocol == 6 { "tcp" } else { "udp" };
    match ports {
        (0, u16::MAX) => format!("all of {protocol}"),
        (first, last) if first == last => format!("{first}/{protocol}"),
        (first, last) => format!("{first}-{last}/{protocol}"),
    }
}

/// What usually listens there, in brackets.
fn services(open: &Opening) -> String {
    match open.service_names().as_slice() {
        [] => String::new(),
        names if names.len() <= 3 => format!(" ({})", names.join(", ")),
        names => format!(" ({} and {} more)", names[..2].join(", "), names.len() - 2),
    }
}

/// The addresses that it is open to, in a few words.
fn sources(open: &Opening) -> String {
    addresses_of(open, &open.sources)
}

fn addresses_of(open: &Opening, sources: &RangeSet<u128>) -> String {
    let breadth = Breadth::of(open.family(), sources);
    let breadth = serde_json::to_value(breadth).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
    if internet(open.family()).difference(sources).is_empty() {
        return "everybody".to_owned();
    }
    let blocks = blocks(open.family(), sources);
    match blocks.as_slice() {
        [only] => format!("{only} ({breadth})"),
        [one, other] => format!("{one}, {other} ({breadth})"),
        [first, ..] if blocks.len() <= 8 => format!("{first} and {} more ({breadth})", blocks.len() - 1),
        _ => format!("{} blocks ({breadth})", blocks.len()),
    }
}

/// The way, on one line.
fn way(open: &Opening) -> String {
    let start = match open.class {
        SourceClass::Internet | SourceClass::LoadBalancer | SourceClass::Appliance => "internet",
        SourceClass::Peer => "peer",
        SourceClass::Vpn => "vpn",
        SourceClass::Transit => "network",
    };
    let mut line = start.to_owned();
    for step in open.path.iter() {
        let rule = step.rule.as_ref().map(|rule| format!(" [{rule}]")).unwrap_or_default();
        // Of an ARN what it is and what it is called.
        let id = step.component_id.rsplit(':').next().filter(|_| step.component_id.starts_with("arn:")).unwrap_or(&step.component_id);
        let _ = write!(line, " → {}{rule}", printable(id));
    }
    let _ = write!(line, " :{}", open.ports.0);
    line
}

/// The analysis as a table.
#[must_use]
pub fn exposure_table(snapshot: &Snapshot, analysis: &Analysis, mode: Mode, style: TableStyle) -> String {
    let mut out = String::new();
    let count = analysis.openings.len();
    let is_public = |open: &&Opening| matches!(open.class, SourceClass::Internet | SourceClass::LoadBalancer | SourceClass::Appliance);
    let from_internet = analysis.openings.iter().filter(is_public).count();
    let instances = snapshot.interfaces.values().filter(|interface| interface.instance.is_some()).count();
    let _ = writeln!(
        out,
        "{}",
        style.paint(BOLD, &format!("{instances} interfaces of instances: {count} openings, {from_internet} of them from the internet"))
    );
    for open in sorted(&analysis.openings, mode) {
        let who = open.instance.as_deref().unwrap_or(&open.interface);
        let severity = mode.severity(open);
        let partial = match open {
            Opening { one_way: true, .. } => ", one way: some who send get no reply",
            Opening { partial_ephemeral: true, .. } => ", for clients that send from some ports",
            _ => "",
        };
        let _ = writeln!(
            out,
            "\n{} {} {}{} from {}: {}{partial}",
            style.paint(paint(severity), &format!("{:13}", severity.as_str())),
            printable(who),
            ports(open),
            services(open),
            from(open.class),
            sources(open),
        );
        for part in open.parts.iter().take(MAX_PARTS) {
            let _ = writeln!(out, "{:13} {} from {}", "", range(open, part.ports), addresses_of(open, &part.sources));
        }
        if open.parts.len() > MAX_PARTS {
            let _ = writeln!(out, "{:13} and {} ranges more", "", open.parts.len() - MAX_PARTS);
        }
        let _ = writeln!(out, "{:13} {}", "", style.paint(DIM, &way(open)));
    }
    let unknown: Vec<String> = snapshot
        .problems
        .iter()
        .cloned()
        .chain(analysis.unknown.iter().flat_map(|(id, unknown)| unknown.iter().map(move |what| format!("{id}: {what}"))))
        .collect();
    if !unknown.is_empty() {
        let _ = writeln!(out, "\n{}", style.paint(YELLOW, "NOT KNOWN, so that more may be open than is said:"));
        for what in unknown.iter().take(MAX_UNKNOWN) {
            let _ = writeln!(out, "  {}", printable(what));
        }
        if unknown.len() > MAX_UNKNOWN {
            let _ = writeln!(out, "  and {} more", unknown.len() - MAX_UNKNOWN);
        }
    }
    out
}

/// One opening as JSON.
fn opening(open: &Opening, mode: Mode) -> Value {
    let blocks = blocks(open.family(), &open.sources);
    let mut out = json!({
        "title": open.title(),
        "severity": mode.severity(open),
        "inspectorSeverity": open.severity(),
        "class": open.class,
        "via": &*open.via,
        "instance": open.instance.as_deref(),
        "interface": &*open.interface,
        "address": open.address,
        "protocol": if open.protocol == 6 { "TCP" } else { "UDP" },
        "openPortRange": {"begin": open.ports.0, "end": open.ports.1},
        "services": open.service_names(),
        "sources": blocks.iter().take(MAX_SOURCES).map(ToString::to_string).collect::<Vec<_>>(),
        "moreSources": blocks.len().saturating_sub(MAX_SOURCES),
        "breadth": open.breadth(),
        "partialEphemeral": open.partial_ephemeral,
        "oneWay": open.one_way,
        "networkPath": {"steps": &*open.path},
        "witness": {"source": open.witness.0, "port": open.witness.1},
    });
    if !open.parts.is_empty() {
        let part = |part: &Part| {
            let blocks = lestrade_reachability::blocks(open.family(), &part.sources);
            json!({
                "openPortRange": {"begin": part.ports.0, "end": part.ports.1},
                "sources": blocks.iter().take(MAX_SOURCES).map(ToString::to_string).collect::<Vec<_>>(),
                "moreSources": blocks.len().saturating_sub(MAX_SOURCES),
                "breadth": Breadth::of(open.family(), &part.sources),
            })
        };
        out["parts"] = open.parts.iter().map(part).collect();
    }
    out
}

/// The analysis as JSON (`lestrade.exposure/1`).
#[must_use]
pub fn exposure_json(snapshot: &Snapshot, analysis: &Analysis, mode: Mode) -> Value {
    json!({
        "schema": "lestrade.exposure/1",
        "partial": exposure_is_partial(snapshot, analysis),
        "mode": match mode {
            Mode::Compatible => "compatible",
            Mode::Full => "full",
        },
        "openings": sorted(&analysis.openings, mode).into_iter().map(|open| opening(open, mode)).collect::<Vec<_>>(),
        "unknown": analysis.unknown,
        "problems": snapshot.problems,
    })
}

/// A difference as JSON.
#[must_use]
pub fn exposure_difference_json(difference: &Difference, mode: Mode) -> Value {
    let openings = |openings: &[Opening]| -> Vec<Value> { sorted(openings, mode).into_iter().map(|open| opening(open, mode)).collect() };
    json!({
        "schema": "lestrade.exposure-diff/1",
        "opened": openings(&difference.opened),
        "closed": openings(&difference.closed),
    })
}

/// A difference for a person.
#[must_use]
pub fn exposure_difference_table(difference: &Difference, mode: Mode, style: TableStyle) -> String {
    let mut out = String::new();
    for (sign, colour, what, openings) in [("+", RED, "opened", &difference.opened), ("-", BLUE, "closed", &difference.closed)] {
        let _ = writeln!(out, "{}", style.paint(BOLD, &format!("{} {what}", openings.len())));
        for open in sorted(openings, mode) {
            let who = open.instance.as_deref().unwrap_or(&open.interface);
            let line = format!(
                "{sign} {} {} {} from {}: {}{}",
                mode.severity(open).as_str(),
                printable(who),
                ports(open),
                from(open.class),
                sources(open),
                if open.one_way { ", one way" } else { "" },
            );
            let _ = writeln!(out, "{}", style.paint(colour, &line));
        }
    }
    out
}

/// Whether a packet gets through, or the first rule that stops it; then the same of each load balancer that leads to where it goes.
#[must_use]
pub fn exposure_verdict(direct: &Journey, over: &[(String, Journey)], style: TableStyle) -> String {
    let mut out = verdict("", direct, style);
    for (balancer, journey) in over {
        let _ = write!(out, "{}", verdict(&format!("over {}: ", printable(balancer)), journey, style));
    }
    out
}

fn verdict(over: &str, journey: &Journey, style: TableStyle) -> String {
    let line = |what: &str, colour: &str, blocked: &Blocked| {
        let at = if blocked.component.is_empty() { String::new() } else { format!(" at {}", printable(&blocked.component)) };
        format!("{}{at}: {} [{}]\n", style.paint(colour, what), printable(&blocked.why), blocked.code)
    };
    let mut out = over.to_owned();
    out.push_str(&match (&journey.blocked, &journey.appliance) {
        (Some(blocked), _) => line("CLOSED", BLUE, blocked),
        (None, Some(appliance)) => format!("{}, if the appliance {} lets it pass\n", style.paint(RED, "OPEN"), printable(appliance)),
        (None, None) => format!("{}\n", style.paint(RED, "OPEN")),
    });
    if let Some(reply) = &journey.reply_blocked {
        out.push_str(&line("no reply gets out", YELLOW, reply));
    }
    let way = journey.hops.iter().map(|hop| printable(hop).into_owned()).collect::<Vec<_>>().join(" → ");
    if !way.is_empty() {
        let _ = writeln!(out, "  {way}");
    }
    out
}

/// Every way as a picture, one under the other: from the source on the left to the instance on the right.
#[must_use]
pub fn exposure_svg(analysis: &Analysis, mode: Mode) -> String {
    const WIDTH: usize = 204;
    const BOX: usize = 176;
    const HEIGHT: usize = 104;
    let openings = sorted(&analysis.openings, mode);
    let longest = openings.iter().map(|open| open.path.len() + 1).max().unwrap_or(1);
    let shown = openings.len().min(MAX_WAYS);
    let (width, height) = (longest * WIDTH + 20, shown.max(1) * HEIGHT + 30);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n<title>What the network lets in</title>\n\
         <defs><marker id=\"a\" markerWidth=\"8\" markerHeight=\"8\" refX=\"7\" refY=\"4\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#666\"/></marker></defs>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    if shown == 0 {
        out.push_str("<text x=\"20\" y=\"30\">Nothing is open.</text>\n");
    }
    for (row, open) in openings.iter().take(MAX_WAYS).enumerate() {
        let y = 16 + row * HEIGHT;
        let severity = mode.severity(open);
        let colour = match severity {
            OpeningSeverity::High => "#b00020",
            OpeningSeverity::Medium => "#b26a00",
            OpeningSeverity::Low => "#1456a0",
            OpeningSeverity::Informational => "#555555",
        };
        let who = open.instance.as_deref().unwrap_or(&open.interface);
        let heading = format!(
            "{} · {who} · {}{} from {}{}",
            severity.as_str(),
            ports(open),
            services(open),
            from(open.class),
            if open.one_way { ", one way" } else { "" }
        );
        let _ = writeln!(out, "<text x=\"20\" y=\"{}\" fill=\"{colour}\" font-weight=\"600\">{}</text>", y + 12, markup(&heading));
        let origin = match open.class {
            SourceClass::Internet | SourceClass::LoadBalancer | SourceClass::Appliance => "Internet",
            SourceClass::Peer => "Peered network",
            SourceClass::Vpn => "VPN or Direct Connect",
            SourceClass::Transit => "Network behind it",
        };
        let start = (origin.to_owned(), sources(open), None);
        let steps = open.path.iter().map(|step| {
            let kind = step.component_type.rsplit("::").next().unwrap_or_default();
            (kind.to_owned(), name(&step.component_id), step.rule.clone())
        });
        for (place, (kind, id, rule)) in std::iter::once(start).chain(steps).enumerate() {
            let x = 20 + place * WIDTH;
            if place > 0 {
                let (from, to, middle) = (x - (WIDTH - BOX), x - 2, y + 48);
                let _ = writeln!(
                    out,
                    "<line x1=\"{from}\" y1=\"{middle}\" x2=\"{to}\" y2=\"{middle}\" stroke=\"#666\" marker-end=\"url(#a)\"/>"
                );
            }
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{}\" width=\"{BOX}\" height=\"60\" rx=\"6\" fill=\"#fff\" stroke=\"{colour}\"/>",
                y + 20
            );
            let lines = [("#666", kind), ("#111", id), ("#666", rule.unwrap_or_default())];
            for (line, (fill, text)) in lines.iter().enumerate().filter(|(_, (_, text))| !text.is_empty()) {
                let _ =
                    writeln!(out, "<text x=\"{}\" y=\"{}\" fill=\"{fill}\">{}</text>", x + 8, y + 37 + line * 17, markup(&shorten(text)));
            }
        }
    }
    if openings.len() > shown {
        let _ = writeln!(out, "<text x=\"20\" y=\"{}\">and {} more</text>", height - 8, openings.len() - shown);
    }
    out.push_str("</svg>\n");
    out
}

/// What a person calls a component: of an ARN the name in it.
fn name(id: &str) -> String {
    let Some(resource) = id.strip_prefix("arn:").and_then(|_| id.rsplit(':').next()) else { return id.to_owned() };
    let parts: Vec<&str> = resource.split('/').collect();
    match parts.as_slice() {
        ["loadbalancer" | "listener", _, name, ..] | ["targetgroup", name, ..] => (*name).to_owned(),
        [.., last] => (*last).to_owned(),
        [] => id.to_owned(),
    }
}

fn shorten(text: &str) -> String {
    const MOST: usize = 25;
    if text.chars().count() <= MOST { text.to_owned() } else { format!("{}…", text.chars().take(MOST - 1).collect::<String>()) }
}

fn markup(text: &str) -> String {
    printable(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
