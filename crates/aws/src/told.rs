//! What an instance tells when it is asked by SSM Run Command: its package databases, manifests and kernel, read by a script of
//! ours that only reads, and handed on in pieces.
//!
//! The instance is not trusted: what it tells is bounded in size and count, its paths are plain, and whoever reads the files
//! reads them as any other artifact.

use crate::inventory::{evr, source_of};
use crate::{Error, Session};
use base64::Engine;
use flate2::read::GzDecoder;
use lestrade_model::{Component, Hash, Manager, Occurrence, OsRelease};
use lestrade_wire::Transport;
use lestrade_wire::ssm::{CommandInvocationStatus, GetCommandInvocationRequest, SendCommandRequest};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

const SCRIPT: &str = include_str!("inventory.sh");
const DOCUMENT: &str = "AWS-RunShellScript";
/// Characters of a piece; the script's own number.
const PIECE: usize = 18_000;
/// The longest answer, packed, and unpacked.
const LONGEST: usize = 4 << 20;
const LARGEST: u64 = 64 << 20;
const MOST_FILES: usize = 50_000;
/// The longest list of sockets, unpacked, and the longest name in it.
const LARGEST_LIST: u64 = 1 << 20;
const NAME: usize = 1024;
/// SSM takes as many instances in one command.
const AT_ONCE: usize = 50;
/// How long an instance may take for one piece.
const PATIENCE_SECONDS: i32 = 600;
const POLL: Duration = Duration::from_millis(500);

/// What an instance told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The release of its running kernel.
    pub kernel: Option<String>,
    /// Files by their paths without the leading slash, cut down to what says what is installed.
    pub files: Vec<(String, Vec<u8>)>,
    /// What `rpm -qa` printed, a package each.
    rpms: Vec<String>,
    /// What it could not read, a clause each.
    pub unread: Vec<String>,
    /// The sockets on it that wait for others; none where it could not tell, or they are too many to be told.
    pub sockets: Option<Vec<ToldSocket>>,
}

/// A socket that waits for others, as an instance tells of it. Of its owner what the instance does not know is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToldSocket {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address and the port, as the kernel writes them (proc(5), `/proc/net/tcp`).
    pub local: String,
    /// The name of the process.
    pub process: Option<String>,
    /// The path of its program.
    pub executable: Option<String>,
    /// The package that the program belongs to.
    pub package: Option<String>,
}

/// Asks instances, all at once. Paths are folders in which packages of languages are looked for.
pub async fn ask_instances<T: Transport + Clone>(
    session: &Session<T>,
    ids: &[String],
    paths: &[String],
) -> BTreeMap<String, Result<Told, Error>> {
    let mut told = BTreeMap::new();
    for batch in ids.chunks(AT_ONCE) {
        let command = match send(session, batch, 1, paths).await {
            Ok(command) => command,
            Err(error) => {
                let why = error.to_string();
                let denied = error.is_denied();
                // One error for all of them: it is told for each.
                let again = |id: &String| {
                    let error = if denied { Error::Denied(why.clone()) } else { Error::Document(why.clone()) };
                    (id.clone(), Err(error))
                };
                told.extend(batch.iter().map(again));
                continue;
            }
        };
        for id in batch {
            told.insert(id.clone(), whole(session, id, &command, paths).await);
        }
    }
    told
}

/// The whole of what an instance tells, of which the first piece was asked for by a command.
async fn whole<T: Transport + Clone>(session: &Session<T>, id: &str, command: &str, paths: &[String]) -> Result<Told, Error> {
    let first = piece(&answer(session, id, command).await?)?;
    let mut packed = first.text;
    while packed.len() < first.length {
        let command = send(session, &[id.to_owned()], packed.len() + 1, paths).await?;
        let next = piece(&answer(session, id, &command).await?)?;
        if next.digest != first.digest || next.text.is_empty() {
            return Err(unusable("what it tells changed while it was told"));
        }
        packed.push_str(&next.text);
    }
    if hex(&Sha256::digest(packed.as_bytes())) != first.digest {
        return Err(unusable("its digest is not the one computed"));
    }
    let mut told = read(&packed)?;
    told.sockets = first.sockets.as_deref().and_then(sockets);
    Ok(told)
}

async fn send<T: Transport + Clone>(session: &Session<T>, ids: &[String], from: usize, paths: &[String]) -> Result<String, Error> {
    let plain = |path: &&String| path.starts_with('/') && path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b));
    let paths: Vec<&str> = paths.iter().filter(plain).map(String::as_str).collect();
    let script = SCRIPT.replacen("from=1\n", &format!("from={from}\n"), 1);
    let script = script.replacen("paths=''\n", &format!("paths='{}'\n", paths.join(" ")), 1);
    let request = SendCommandRequest {
        instance_ids: Some(ids.to_vec()),
        document_name: DOCUMENT.to_owned(),
        timeout_seconds: Some(PATIENCE_SECONDS),
        comment: Some("Lestrade: what is installed".to_owned()),
        parameters: Some(BTreeMap::from([("commands".to_owned(), vec![script])])),
        targets: None,
        document_version: None,
        document_hash: None,
        document_hash_type: None,
        output_s3_region: None,
        output_s3_bucket_name: None,
        output_s3_key_prefix: None,
        max_concurrency: None,
        max_errors: None,
        service_role_arn: None,
        notification_config: None,
        cloud_watch_output_config: None,
        alarm_configuration: None,
    };
    let command = session.call(&request).await?.command.and_then(|command| command.command_id);
    command.ok_or_else(|| unusable("SSM names no command"))
}

/// What the script printed, once it is done.
async fn answer<T: Transport + Clone>(session: &Session<T>, id: &str, command: &str) -> Result<String, Error> {
    use CommandInvocationStatus::{Cancelling, Delayed, InProgress, Pending, Success};
    let request = GetCommandInvocationRequest { command_id: command.to_owned(), instance_id: id.to_owned(), plugin_name: None };
    let polls = u128::try_from(PATIENCE_SECONDS).unwrap_or_default() * 1000 / POLL.as_millis();
    for _ in 0..polls {
        match session.call(&request).await {
            Ok(answer) => match answer.status {
                Some(Success) => return Ok(answer.standard_output_content.unwrap_or_default()),
                Some(Pending | InProgress | Delayed | Cancelling) | None => {}
                Some(other) => return Err(unusable(&format!("the command ended as {}", other.as_str()))),
            },
            // It takes a moment until SSM knows its own command.
            Err(error) if error.is_refusal("InvocationDoesNotExist") => {}
            Err(error) => return Err(error),
        }
        tokio::time::sleep(POLL).await;
    }
    Err(unusable("the command did not end"))
}

struct Piece {
    length: usize,
    digest: String,
    text: String,
    /// The sockets, packed, which only the first piece has.
    sockets: Option<String>,
}

fn piece(output: &str) -> Result<Piece, Error> {
    let bad = || unusable("what it printed is not what the script prints");
    let mut lines = output.lines();
    let (length, digest) = lines.next().and_then(|line| line.split_once(' ')).ok_or_else(bad)?;
    let length: usize = length.parse().map_err(|_| bad())?;
    let text = lines.next().unwrap_or_default();
    if length > LONGEST || text.len() > PIECE || digest.len() != 64 {
        return Err(bad());
    }
    let sockets = lines.next().filter(|line| !line.is_empty()).map(str::to_owned);
    Ok(Piece { length, digest: digest.to_owned(), text: text.to_owned(), sockets })
}

fn read(packed: &str) -> Result<Told, Error> {
    let packed = base64::engine::general_purpose::STANDARD.decode(packed).map_err(|_| unusable("it is not base64"))?;
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice()).take(LARGEST).read_to_end(&mut text).map_err(|_| unusable("it is not gzip"))?;
    if text.len() as u64 == LARGEST {
        return Err(unusable("it is larger than any list of packages"));
    }
    let mut told = Told::default();
    let mut file: Option<(String, Vec<u8>)> = None;
    let mut rpm = false;
    let mut ended = false;
    for line in text.split(|byte| *byte == b'\n') {
        let word = line.strip_prefix(b"@").map(String::from_utf8_lossy);
        match word.as_deref().map(|word| word.split_once(' ').unwrap_or((word, ""))) {
            Some(("lestrade", _)) => {}
            Some(("kernel", release)) => told.kernel = Some(release.to_owned()),
            Some(("file", path)) => {
                told.files.extend(file.take());
                rpm = false;
                match plain(path) {
                    Some(path) if told.files.len() < MOST_FILES => file = Some((path, Vec::new())),
                    _ => told.unread.push(format!("a file whose path is not plain, or one too many: {}", clip(path))),
                }
            }
            Some(("rpm", _)) => {
                told.files.extend(file.take());
                rpm = true;
            }
            Some(("unread", what)) => told.unread.push(clip(what)),
            Some(("end", _)) => ended = true,
            _ if rpm => told.rpms.push(String::from_utf8_lossy(line).into_owned()),
            _ => {
                if let Some((_, content)) = &mut file {
                    content.extend_from_slice(line);
                    content.push(b'\n');
                }
            }
        }
    }
    told.files.extend(file);
    if ended { Ok(told) } else { Err(unusable("it ends too early")) }
}

/// The sockets that an instance tells of; none where it does not, or what it tells is cut or is no such list.
fn sockets(packed: &str) -> Option<Vec<ToldSocket>> {
    let packed = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    let mut text = String::new();
    GzDecoder::new(packed.as_slice()).take(LARGEST_LIST).read_to_string(&mut text).ok()?;
    let mut lines = text.lines();
    let range = lines.next()?.strip_prefix("@range")?;
    let mut given_out = range.split_whitespace().filter_map(|port| port.parse::<u16>().ok());
    let given_out = given_out.next().unwrap_or(32_768)..=given_out.next().unwrap_or(60_999);
    let mut sockets = Vec::new();
    for line in lines {
        if line == "@end" {
            return Some(sockets);
        }
        let [protocol, local, process, executable, package] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
        let known = |text: &str| Some(text.chars().take(NAME).collect::<String>()).filter(|text| !text.is_empty());
        let port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        // A socket that asks others (a resolver's) is bound as well, to one of the ports that are given out.
        if protocol == "udp" && given_out.contains(&port) {
            continue;
        }
        sockets.push(ToldSocket {
            protocol: protocol.chars().take(8).collect(),
            local: local.chars().take(64).collect(),
            process: known(process),
            executable: known(executable),
            package: known(package),
        });
    }
    None
}

/// A path without its leading slash; none when it leads elsewhere than it says.
fn plain(path: &str) -> Option<String> {
    let path = path.strip_prefix('/')?;
    let odd = |part: &str| matches!(part, "" | "." | "..");
    (path.len() <= 4096 && !path.contains(['\\', '\0']) && !path.split('/').any(odd)).then(|| path.to_owned())
}

impl Told {
    /// The packages of its RPM database; none where the system is not one that we know.
    #[must_use]
    pub fn rpms(&self, os: &OsRelease) -> Vec<(Component, Occurrence)> {
        const PLACE: &str = "rpm -qa";
        let Some(ecosystem) = os.ecosystem() else { return Vec::new() };
        let component = |line: &String| {
            let field = |text: &str| Some(text.to_owned()).filter(|text| !matches!(text.as_str(), "" | "(none)"));
            let [name, epoch, version, release, arch, source, module] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
            if name == "gpg-pubkey" {
                return None;
            }
            let mut component = Component::new(ecosystem.clone(), name, &evr(field(epoch).as_deref(), version, field(release).as_deref()));
            if let Some((source, version)) = source_of(source) {
                component = component.from_source(&source, &version);
            }
            // `nodejs:18:8090020230301:rhel9`: the stream is its first two words.
            let stream = field(module).map(|label| label.splitn(3, ':').take(2).collect::<Vec<_>>().join(":"));
            let occurrence = Occurrence { component: 0, path: PLACE.to_owned(), layer: None, arch: field(arch), manager: Manager::Rpm };
            Some((component.in_module(stream), occurrence))
        };
        self.rpms.iter().filter_map(component).collect()
    }

    /// What it told, as an identity: equal lists are read once.
    #[must_use]
    pub fn identity(&self) -> Hash {
        let files = self.files.iter().flat_map(|(path, content)| [path.as_bytes(), content.as_slice()]);
        Hash::of_fields(files.chain(self.rpms.iter().map(String::as_bytes)))
    }
}

fn unusable(reason: &str) -> Error {
    Error::Document(format!("what the instance told cannot be used: {reason}"))
}

fn clip(text: &str) -> String {
    text.chars().take(128).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn packed(text: &str) -> String {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(text.as_bytes()).unwrap();
        base64::engine::general_purpose::STANDARD.encode(gzip.finish().unwrap())
    }

    #[test]
    fn files_packages_and_the_kernel_are_told() {
        let told = read(&packed(
            "@lestrade 1\n@kernel 6.1.0-1\n@file /etc/os-release\nID=almalinux\n\n@rpm\n\
             openssl-libs\t1\t3.0.7\t27.el9\tx86_64\topenssl-3.0.7-27.el9.src.rpm\t(none)\n\
             nodejs\t1\t18.1\t1.el9\tx86_64\tnodejs-18.1-1.el9.src.rpm\tnodejs:18:8090:rhel9\ngpg-pubkey\t(none)\ta\tb\tc\td\te\n@end\n",
        ))
        .unwrap();
        assert_eq!(told.kernel.as_deref(), Some("6.1.0-1"));
        assert_eq!(told.files, [("etc/os-release".to_owned(), b"ID=almalinux\n\n".to_vec())]);
        let os = OsRelease { id: "almalinux".into(), version: "9.4".into(), pretty_name: String::new() };
        let rpms = told.rpms(&os);
        assert_eq!(rpms.len(), 2);
        assert_eq!((rpms[0].0.version.as_str(), rpms[0].0.source.as_ref().unwrap().name.as_str()), ("1:3.0.7-27.el9", "openssl"));
        assert_eq!(rpms[1].0.module.as_deref(), Some("nodejs:18"));
    }

    #[test]
    fn sockets_are_told_whole_or_not_at_all() {
        let list = "@range 32768\t60999\ntcp\t00000000:0016\tsshd\t/usr/sbin/sshd\topenssh-server\nudp\t00000000:0044\t\t\t\n\
                    udp\t00000000:9C41\t\t\t\n@end\n";
        let told = sockets(&packed(list)).unwrap();
        let shown: Vec<_> = told.iter().map(|socket| (socket.local.as_str(), socket.package.as_deref())).collect();
        assert_eq!(shown, [("00000000:0016", Some("openssh-server")), ("00000000:0044", None)]);
        assert_eq!(sockets(&packed("@range\n@end\n")), Some(vec![]), "nobody waits");
        for cut in ["", "@range\n", "@range\ntcp\t00000000:0016\tsshd\n@end\n", "@range\ntcp\tx\t\t\t\n@end\n", "x\n@end\n"] {
            assert_eq!(sockets(&packed(cut)), None, "{cut}");
        }
        assert_eq!(sockets("%%%"), None);
        let of_piece = |output: &str| piece(output).unwrap().sockets;
        let digest = "0".repeat(64);
        assert_eq!(of_piece(&format!("2 {digest}\nAA\nBB\n")).as_deref(), Some("BB"));
        assert_eq!(of_piece(&format!("2 {digest}\nAA\n")), None);
    }

    #[test]
    fn what_is_not_such_an_answer_is_an_error_or_told() {
        for output in ["", "x", "12 short\nx", "99999999999 aa\n", "command not found"] {
            assert!(piece(output).is_err(), "{output}");
        }
        assert!(read("%%%").is_err() && read("AAAA").is_err());
        assert!(read(&packed("@lestrade 1\n@file /etc/os-release\nID=")).is_err(), "cut off");
        let told = read(&packed("@file /../../etc/passwd\nx\n@file relative\ny\n@file /a//b\n@end\n")).unwrap();
        assert!(told.files.is_empty() && told.unread.len() == 3);
    }
}
