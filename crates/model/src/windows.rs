//! Products of Windows, in the one spelling under which they are indexed.
//!
//! Microsoft's security updates speak of products (`Windows Server 2022 (Server Core installation)`), a system of the build, edition
//! and processor that it is. Names are those of MSRC's documents; builds are those of Microsoft's lists of releases.

/// The product that a name of MSRC's documents means; none of what is not Windows itself, or is another product that begins with the
/// word (`Windows Terminal`, `Windows Server Update Services`). Its documents are not of one mind about case and commas.
#[must_use]
pub fn windows_product(name: &str) -> Option<String> {
    let words: Vec<&str> = name.split_whitespace().collect();
    let words = words.strip_prefix(&["Microsoft"]).unwrap_or(&words);
    let [first, second, rest @ ..] = words else { return None };
    if *first != "Windows" || name.len() > 256 {
        return None;
    }
    let begins_with_number = |word: &&str| word.starts_with(|c: char| c.is_ascii_digit());
    let is_system = match *second {
        "7" | "8" | "8.1" | "10" | "11" | "RT" | "Vista" => true,
        "Server" | "Server," => {
            rest.first().is_some_and(|word| (begins_with_number(word) && word.len() >= 4) || word.eq_ignore_ascii_case("version"))
        }
        _ => false,
    };
    if !is_system {
        return None;
    }
    let plain = |word: &&str| match word.to_ascii_lowercase().as_str() {
        "version" => "Version".to_owned(),
        "systems" => "Systems".to_owned(),
        "installation)" => "installation)".to_owned(),
        // `Windows Server, version 20H2` and `Windows Server version 20H2`.
        "server," => "Server".to_owned(),
        _ => (*word).to_owned(),
    };
    Some(words.iter().map(plain).collect::<Vec<_>>().join(" "))
}

/// How a system is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowsInstallation {
    /// For a desk.
    Client,
    /// As a server with its desktop.
    Server,
    /// As a server without one.
    ServerCore,
}

/// For which processors a system is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowsArchitecture {
    /// x86.
    X86,
    /// x64.
    X64,
    /// 64-bit ARM.
    Arm64,
}

/// Builds of servers, and their products.
const SERVERS: [(u32, &str); 16] = [
    (6002, "Windows Server 2008"),
    (6003, "Windows Server 2008"),
    (7601, "Windows Server 2008 R2"),
    (9200, "Windows Server 2012"),
    (9600, "Windows Server 2012 R2"),
    (14393, "Windows Server 2016"),
    (16299, "Windows Server Version 1709"),
    (17134, "Windows Server Version 1803"),
    (17763, "Windows Server 2019"),
    (18362, "Windows Server Version 1903"),
    (18363, "Windows Server Version 1909"),
    (19041, "Windows Server Version 2004"),
    (19042, "Windows Server Version 20H2"),
    (20348, "Windows Server 2022"),
    (25398, "Windows Server 2022, 23H2 Edition"),
    (26100, "Windows Server 2025"),
];

/// Builds of clients, and their products.
const CLIENTS: [(u32, &str); 23] = [
    (7601, "Windows 7"),
    (9200, "Windows 8"),
    (9600, "Windows 8.1"),
    (10240, "Windows 10"),
    (10586, "Windows 10 Version 1511"),
    (14393, "Windows 10 Version 1607"),
    (15063, "Windows 10 Version 1703"),
    (16299, "Windows 10 Version 1709"),
    (17134, "Windows 10 Version 1803"),
    (17763, "Windows 10 Version 1809"),
    (18362, "Windows 10 Version 1903"),
    (18363, "Windows 10 Version 1909"),
    (19041, "Windows 10 Version 2004"),
    (19042, "Windows 10 Version 20H2"),
    (19043, "Windows 10 Version 21H1"),
    (19044, "Windows 10 Version 21H2"),
    (19045, "Windows 10 Version 22H2"),
    (22000, "Windows 11 Version 21H2"),
    (22621, "Windows 11 Version 22H2"),
    (22631, "Windows 11 Version 23H2"),
    (26100, "Windows 11 Version 24H2"),
    (26200, "Windows 11 Version 25H2"),
    (28000, "Windows 11 Version 26H1"),
];

/// The product of a system with a build; none where the build is not one that we know: it is never guessed at.
#[must_use]
pub fn windows_product_of(build: u32, installation: WindowsInstallation, architecture: WindowsArchitecture) -> Option<String> {
    let systems = match architecture {
        WindowsArchitecture::X86 => "for 32-bit Systems",
        WindowsArchitecture::X64 => "for x64-based Systems",
        WindowsArchitecture::Arm64 => "for ARM64-based Systems",
    };
    let products: &[(u32, &str)] = if installation == WindowsInstallation::Client { &CLIENTS } else { &SERVERS };
    let (_, product) = products.iter().find(|(known, _)| *known == build)?;
    let mut name = (*product).to_owned();
    // Only the oldest servers are there for several processors.
    if installation == WindowsInstallation::Client || build < 9200 {
        name = format!("{name} {systems}");
    }
    match build {
        6002 | 6003 => name.push_str(" Service Pack 2"),
        7601 => name.push_str(" Service Pack 1"),
        _ => {}
    }
    if installation == WindowsInstallation::ServerCore {
        name.push_str(" (Server Core installation)");
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_itself_is_told_from_what_runs_on_it() {
        for (name, product) in [
            ("Windows Server 2022", "Windows Server 2022"),
            ("Windows 11 version 21H2 for x64-based Systems", "Windows 11 Version 21H2 for x64-based Systems"),
            ("Windows 8.1 for x64-based systems", "Windows 8.1 for x64-based Systems"),
            ("Windows Server, version 20H2 (Server Core Installation)", "Windows Server Version 20H2 (Server Core installation)"),
            ("Microsoft Windows Server 2022 (Server Core installation)", "Windows Server 2022 (Server Core installation)"),
        ] {
            assert_eq!(windows_product(name).as_deref(), Some(product), "{name}");
        }
        for other in [
            "Windows Terminal for Windows 10",
            "Windows Sysmon",
            "Windows Server Update Services",
            "Raw Image Extension on Windows 10 Version 1809 for x64-based Systems",
            "Microsoft .NET Framework 3.5 AND 4.8 on Windows Server 2022",
            "azl3 kernel 6.6.57.1-1 on Azure Linux 3.0",
            "Windows",
            "",
        ] {
            assert_eq!(windows_product(other), None, "{other}");
        }
    }

    #[test]
    fn a_build_alone_does_not_tell_a_server_from_a_client() {
        use WindowsArchitecture::{Arm64, X64, X86};
        use WindowsInstallation::{Client, Server, ServerCore};
        for (build, installation, architecture, product) in [
            (17763, Server, X64, "Windows Server 2019"),
            (17763, Client, X64, "Windows 10 Version 1809 for x64-based Systems"),
            (26100, ServerCore, X64, "Windows Server 2025 (Server Core installation)"),
            (26100, Client, Arm64, "Windows 11 Version 24H2 for ARM64-based Systems"),
            (7601, ServerCore, X64, "Windows Server 2008 R2 for x64-based Systems Service Pack 1 (Server Core installation)"),
            (6003, Server, X86, "Windows Server 2008 for 32-bit Systems Service Pack 2"),
            (10240, Client, X86, "Windows 10 for 32-bit Systems"),
        ] {
            let name = windows_product_of(build, installation, architecture).unwrap();
            assert_eq!(name, product);
            assert_eq!(windows_product(&name).as_deref(), Some(product), "it is spelled as it is indexed");
        }
        assert_eq!(windows_product_of(12345, Server, X64), None);
    }
}
