//! `lestrade exposure`: what a network that is described in files lets in.

use super::serve::own_account;
use crate::args::{ExposureArgs, Picture};
use crate::clock::SystemClock;
use crate::config::Settings;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input;
use crate::output::{self, Speech};
use lestrade_aws::{Estate, describe_network};
use lestrade_reachability::{Journey, Mode, Packet, Snapshot, arrive_over, compare, evaluate, evaluate_one_way, read_descriptions, trace};
use lestrade_report::{
    TableStyle, exposure_difference_json, exposure_difference_table, exposure_is_partial, exposure_json, exposure_svg, exposure_table,
    exposure_verdict, json_text,
};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest description of one call, and the most of them.
const MAX_FILE: u64 = 1 << 30;
const MAX_FILES: usize = 10_000;
/// The port that clients send from, where nobody says which.
const CLIENT_PORT: u16 = 50_000;

pub(crate) fn run(settings: &Settings, speech: Speech, arguments: &ExposureArgs) -> Result<Exit, Failure> {
    let style = TableStyle { width: output::width(), colour: output::colour(speech.color) };
    let snapshot = if arguments.live { ask(settings, arguments)? } else { read(&arguments.paths)? };
    if let (Some(from), Some(to)) = (&arguments.from, &arguments.to) {
        return follow(&snapshot, arguments, from, to, style);
    }
    let mode: Mode = arguments.mode.into();
    let look = if arguments.one_way_udp { evaluate_one_way } else { evaluate };
    let analysis = mode.of(&snapshot, look(&snapshot));
    let partial = exposure_is_partial(&snapshot, &analysis);
    if arguments.what_if.is_empty() {
        let text = match arguments.output {
            Picture::Table => exposure_table(&snapshot, &analysis, mode, style),
            Picture::Json => json_text(&exposure_json(&snapshot, &analysis, mode)),
            Picture::Svg => exposure_svg(&analysis, mode),
        };
        output::write(None, &text)?;
        return Ok(if partial { Exit::Incomplete } else { Exit::Ok });
    }
    let other = read(&arguments.what_if)?;
    let after = mode.of(&other, look(&other));
    let difference = compare(&analysis.openings, &after.openings);
    let text = match arguments.output {
        Picture::Json => json_text(&exposure_difference_json(&difference, mode)),
        _ => exposure_difference_table(&difference, mode, style),
    };
    output::write(None, &text)?;
    Ok(if partial || exposure_is_partial(&other, &after) { Exit::Incomplete } else { Exit::Ok })
}

/// Asks AWS for the network. What could not be asked for is a problem of it.
fn ask(settings: &Settings, arguments: &ExposureArgs) -> Result<Snapshot, Failure> {
    let failed = |error: lestrade_aws::Error| {
        Failure::new("E0602", Exit::Network, "AWS does not do what was asked").cause(error).try_("lestrade doctor --aws")
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new("E0702", Exit::Bug, "no thread can be started").cause(error))?;
    let estate = runtime.block_on(Estate::enter(&own_account(settings), Arc::new(SystemClock))).map_err(failed)?;
    let Some((_, session)) = estate.sessions.first() else { return read(&[]) };
    let network = runtime.block_on(describe_network(session)).map_err(failed)?;
    if let Some(path) = &arguments.save {
        output::write(Some(path), &json_text(&network.document))?;
    }
    let mut snapshot = snapshot(&[network.document])?;
    snapshot.problems.extend(network.gaps);
    Ok(snapshot)
}

/// Reads descriptions from files and from the JSON files of folders.
fn read(paths: &[PathBuf]) -> Result<Snapshot, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            files.extend(input::files_of(path, "json")?);
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    if files.len() > MAX_FILES {
        return Err(Failure::new("E0330", Exit::Input, format!("there are more than {MAX_FILES} descriptions")));
    }
    let documents = files.iter().map(|file| document(file)).collect::<Result<Vec<_>, _>>()?;
    snapshot(&documents)
}

fn snapshot(documents: &[Value]) -> Result<Snapshot, Failure> {
    read_descriptions(documents).map_err(|error| {
        Failure::new("E0331", Exit::Input, "the network cannot be told from what is described")
            .cause(error)
            .try_("aws ec2 describe-subnets > network/subnets.json, and so on; then lestrade exposure network")
    })
}

fn document(path: &Path) -> Result<Value, Failure> {
    let too_large = || Failure::new("E0330", Exit::Input, format!("'{}' is larger than 1 GiB", path.display()));
    let bytes = input::bytes(path, MAX_FILE, too_large)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::new("E0332", Exit::Input, format!("'{}' is not JSON", path.display())).cause(error))
}

/// One packet.
fn follow(snapshot: &Snapshot, arguments: &ExposureArgs, from: &str, to: &str, style: TableStyle) -> Result<Exit, Failure> {
    let protocol = match arguments.protocol.to_ascii_lowercase().as_str() {
        "tcp" => 6,
        "udp" => 17,
        number => {
            number.parse().map_err(|_| Failure::new("E0224", Exit::Usage, format!("'{number}' is no protocol")).try_("--protocol udp"))?
        }
    };
    let packet = Packet {
        source: address(snapshot, from)?,
        source_port: CLIENT_PORT,
        destination: address(snapshot, to)?,
        port: arguments.port,
        protocol,
    };
    let journey = trace(snapshot, &packet);
    let over = over_balancers(snapshot, &packet);
    let told = |journey: &Journey| {
        json!({
            "arrives": journey.arrives(),
            "converses": journey.converses(),
            "appliance": journey.appliance,
            "blocked": journey.blocked,
            "replyBlocked": journey.reply_blocked,
            "hops": journey.hops,
        })
    };
    let text = match arguments.output {
        Picture::Json => {
            let mut verdict = told(&journey);
            verdict["schema"] = "lestrade.packet/1".into();
            verdict["packet"] =
                json!({"source": packet.source, "destination": packet.destination, "port": packet.port, "protocol": packet.protocol});
            let with_name = |(balancer, journey): &(String, Journey)| {
                let mut told = told(journey);
                told["loadBalancer"] = json!(balancer);
                told
            };
            verdict["overLoadBalancers"] = over.iter().map(with_name).collect();
            json_text(&verdict)
        }
        _ => exposure_verdict(&journey, &over, style),
    };
    output::write(None, &text)?;
    Ok(if snapshot.problems.is_empty() { Exit::Ok } else { Exit::Incomplete })
}

/// The packet's way over each load balancer that has its destination and port among its targets.
fn over_balancers(snapshot: &Snapshot, packet: &Packet) -> Vec<(String, Journey)> {
    // Load balancers know no public addresses.
    let addresses = snapshot.interfaces.values().flat_map(|interface| &interface.addresses);
    let private = addresses.into_iter().find(|address| address.public == Some(packet.destination)).map(|address| address.private);
    let packet = Packet { destination: private.unwrap_or(packet.destination), ..*packet };
    let of = |balancer: &String| (balancer.clone(), arrive_over(snapshot, balancer, &packet, CLIENT_PORT));
    let leads =
        |(_, journey): &(String, Journey)| journey.blocked.as_ref().is_none_or(|blocked| blocked.code != "ELBV2_LISTENER_PORT_RESTRICTION");
    snapshot.load_balancers.keys().map(of).filter(leads).collect()
}

/// The address of an end of a packet.
fn address(snapshot: &Snapshot, end: &str) -> Result<IpAddr, Failure> {
    if let Ok(address) = end.parse() {
        return Ok(address);
    }
    let of_instance = || snapshot.interfaces.values().filter(|interface| interface.instance.as_deref() == Some(end));
    let interface =
        snapshot.interfaces.get(end).or_else(|| of_instance().find(|interface| interface.primary)).or_else(|| of_instance().next());
    let address = interface.and_then(|interface| interface.addresses.first()).map(|address| address.private);
    address
        .ok_or_else(|| Failure::new("E0225", Exit::Usage, format!("'{end}' is no address, and no instance or interface that is described")))
}
