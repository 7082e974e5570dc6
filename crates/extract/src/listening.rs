//! Sockets of a machine that wait for others, with the process that holds each and the package that its program belongs to
//! (proc(5), `/proc/net/tcp`). What may not be seen without being root is said to be unknown.

use crate::HostRoot;
use lestrade_model::{Hash, ListeningSocket};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The most sockets, processes and open files of one process that are looked at.
const SOCKETS: usize = 4096;
const PROCESSES: usize = 65_536;
const FILES: usize = 65_536;
/// The most that is read of one table of the kernel, and of one list of files.
const TABLE: u64 = 16 << 20;
/// The longest name of a process or path that is kept.
const NAME: usize = 1024;

/// Looks for listening sockets; remembers which package a program belongs to as long as no package changes.
#[derive(Debug, Default)]
pub struct Listening {
    owners: HashMap<String, Option<String>>,
    of: Option<Hash>,
}

/// A row of the kernel's table.
struct Row {
    protocol: &'static str,
    address: IpAddr,
    port: u16,
    inode: u64,
}

impl Listening {
    /// The sockets of a machine whose kernel shows itself in `proc`, sorted; none when it does not.
    pub fn look(&mut self, proc: &Path, host: &HostRoot) -> Option<Vec<ListeningSocket>> {
        let rows = rows(proc)?;
        let wanted: HashSet<u64> = rows.iter().map(|row| row.inode).collect();
        let holders = holders(proc, &wanted);
        let fingerprint = host.fingerprint();
        if self.of != Some(fingerprint) {
            self.owners.clear();
            self.of = Some(fingerprint);
        }
        let unknown: BTreeSet<String> =
            holders.values().filter_map(|(_, executable)| executable.clone()).filter(|path| !self.owners.contains_key(path)).collect();
        if !unknown.is_empty() {
            let mut found = owners(host.path(), &unknown);
            self.owners.extend(unknown.into_iter().map(|path| (path.clone(), found.remove(&path))));
        }
        let mut sockets: Vec<ListeningSocket> = rows
            .into_iter()
            .map(|row| {
                let (process, executable) = holders.get(&row.inode).cloned().unwrap_or_default();
                let package = executable.as_ref().and_then(|path| self.owners.get(path).cloned().flatten());
                ListeningSocket { protocol: row.protocol.to_owned(), address: row.address, port: row.port, process, executable, package }
            })
            .collect();
        sockets.sort();
        sockets.dedup();
        Some(sockets)
    }
}

/// A table of the kernel, as far as it may be long.
fn lines(path: &Path) -> Option<impl Iterator<Item = String> + use<>> {
    let file = File::open(path).ok()?;
    Some(BufReader::new(file.take(TABLE)).split(b'\n').map_while(Result::ok).map(|line| String::from_utf8_lossy(&line).into_owned()))
}

fn rows(proc: &Path) -> Option<Vec<Row>> {
    let ports = lines(&proc.join("sys/net/ipv4/ip_local_port_range")).and_then(|mut lines| lines.next());
    let mut range = ports.iter().flat_map(|line| line.split_whitespace()).filter_map(|port| port.parse::<u16>().ok());
    let (low, high) = (range.next().unwrap_or(32_768), range.next().unwrap_or(60_999));
    let mut all = Vec::new();
    let mut seen = false;
    for (file, protocol) in [("tcp", "tcp"), ("tcp6", "tcp"), ("udp", "udp"), ("udp6", "udp")] {
        let Some(lines) = lines(&proc.join("net").join(file)) else { continue };
        seen = true;
        for line in lines.skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, remote, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { continue };
            let (Some((address, port)), Ok(inode)) = (socket_address(local), inode.parse::<u64>()) else { continue };
            let waits = match protocol {
                "tcp" => *state == "0A",
                // A socket that asks others (a resolver's) is bound as well, to one of the ports that are given out.
                _ => remote.ends_with(":0000") && !(low..=high).contains(&port),
            };
            if waits && port != 0 && all.len() < SOCKETS {
                all.push(Row { protocol, address, port, inode });
            }
        }
    }
    seen.then_some(all)
}

/// `0100007F:0016`: words of an address in the machine's own order, here the little one, and a port.
#[must_use]
pub fn socket_address(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let words: Vec<u32> =
        address.as_bytes().chunks(8).map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let address = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some((address.to_canonical(), port))
}

type Holder = (Option<String>, Option<String>);

/// The process and the program that hold each socket, as far as we may see.
fn holders(proc: &Path, wanted: &HashSet<u64>) -> HashMap<u64, Holder> {
    let mut found: HashMap<u64, Holder> = HashMap::new();
    let Ok(entries) = fs::read_dir(proc) else { return found };
    let mut processes: Vec<(u32, PathBuf)> =
        entries.flatten().filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path()))).take(PROCESSES).collect();
    // Of several processes that share a socket the first one opened it.
    processes.sort_unstable();
    for (_, process) in processes {
        if found.len() == wanted.len() {
            break;
        }
        let Ok(files) = fs::read_dir(process.join("fd")) else { continue };
        for file in files.flatten().take(FILES) {
            let Ok(target) = fs::read_link(file.path()) else { continue };
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse::<u64>().ok());
            if let Some(inode) = inode.filter(|inode| wanted.contains(inode) && !found.contains_key(inode)) {
                let name = lines(&process.join("comm")).and_then(|mut lines| lines.next()).map(|name| cut(&name));
                let program = fs::read_link(process.join("exe"))
                    .ok()
                    .and_then(|path| path.to_str().map(|path| cut(path.trim_end_matches(" (deleted)"))));
                found.insert(inode, (name, program));
            }
        }
    }
    found
}

fn cut(text: &str) -> String {
    text.chars().take(NAME).collect()
}

/// The packages that programs belong to, after dpkg's lists and apk's database. RPM's is not looked into: unknown.
fn owners(root: &Path, programs: &BTreeSet<String>) -> BTreeMap<String, String> {
    // Where folders were merged into /usr, a list may still have the file's old place.
    let wanted: HashMap<&str, &String> = programs
        .iter()
        .flat_map(|path| [Some((path.as_str(), path)), path.strip_prefix("/usr").map(|short| (short, path))])
        .flatten()
        .collect();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root.join("var/lib/dpkg/info")).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(package) = name.to_str().and_then(|name| name.strip_suffix(".list")) else { continue };
        let package = package.split(':').next().unwrap_or(package);
        for line in lines(&entry.path()).into_iter().flatten() {
            if let Some(program) = wanted.get(line.as_str()) {
                found.insert((*program).clone(), cut(package));
            }
        }
        if found.len() == programs.len() {
            break;
        }
    }
    for database in ["lib/apk/db/installed", "usr/lib/apk/db/installed"] {
        let (mut package, mut folder) = (String::new(), String::new());
        for line in lines(&root.join(database)).into_iter().flatten() {
            match line.split_once(':') {
                Some(("P", name)) => name.clone_into(&mut package),
                Some(("F", path)) => path.clone_into(&mut folder),
                Some(("R", file)) => {
                    if let Some(program) = wanted.get(format!("/{folder}/{file}").as_str()) {
                        found.insert((*program).clone(), cut(&package));
                    }
                }
                _ => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn row(local: &str, remote: &str, state: &str, inode: u32) -> String {
        format!("   0: {local} {remote} {state} 00000000:00000000 00:00000000 00000000  0 0 {inode} 1 0 100 0 0 10 0\n")
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn sockets_have_their_process_and_its_package_or_say_that_it_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path().join("proc");
        let (v4, v6) = ("00000000:0000", "00000000000000000000000000000000:0000");
        let tcp = [row("0100007F:1538", v4, "0A", 11), row("0100007F:9C40", "0100007F:1538", "01", 12), "nonsense\n".to_owned()];
        write(&proc, "net/tcp", &format!("{HEAD}{}", tcp.concat()));
        write(&proc, "net/tcp6", &format!("{HEAD}{}", row("00000000000000000000000000000000:0016", v6, "0A", 13)));
        write(&proc, "net/udp", &format!("{HEAD}{}{}", row("00000000:0044", v4, "07", 14), row("00000000:9C41", v4, "07", 15)));
        write(&proc, "77/comm", "sshd\n");
        write(&proc, "77/fd/0", "");
        symlink("socket:[13]", proc.join("77/fd/3")).unwrap();
        symlink("/usr/sbin/sshd (deleted)", proc.join("77/exe")).unwrap();
        let root = folder.path().join("root");
        write(&root, "var/lib/dpkg/info/openssh-server:amd64.list", "/.\n/usr/sbin\n/usr/sbin/sshd\n");
        let sockets = Listening::default().look(&proc, &HostRoot::new(&root)).unwrap();
        let shown: Vec<String> = sockets
            .iter()
            .map(|s| format!("{} {}:{} {:?} {:?} {:?}", s.protocol, s.address, s.port, s.process, s.executable, s.package))
            .collect();
        assert_eq!(
            shown,
            [
                "tcp 127.0.0.1:5432 None None None",
                "tcp :::22 Some(\"sshd\") Some(\"/usr/sbin/sshd\") Some(\"openssh-server\")",
                "udp 0.0.0.0:68 None None None",
            ]
        );
    }

    #[test]
    fn alpines_database_says_whose_a_program_is() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "lib/apk/db/installed", "P:nginx\nF:usr/sbin\nR:nginx\n\nP:other\nF:bin\nR:other\n");
        let programs = ["/usr/sbin/nginx".to_owned(), "/usr/sbin/none".to_owned()].into();
        assert_eq!(owners(folder.path(), &programs), BTreeMap::from([("/usr/sbin/nginx".to_owned(), "nginx".to_owned())]));
    }

    #[test]
    fn a_machine_that_does_not_show_itself_is_unknown() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Listening::default().look(folder.path(), &HostRoot::new(folder.path())), None);
    }
}
