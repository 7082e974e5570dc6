//! Addresses and blocks of them, of both families.

use crate::ranges::RangeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AddressFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl AddressFamily {
    /// Of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    const fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The address of a number.
    #[must_use]
    pub fn address(self, number: u128) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
            Self::V6 => IpAddr::V6(Ipv6Addr::from(number)),
        }
    }

    /// All of its addresses.
    #[must_use]
    pub fn all(self) -> RangeSet<u128> {
        match self {
            Self::V4 => RangeSet::range(0, u128::from(u32::MAX)),
            Self::V6 => RangeSet::all(),
        }
    }
}

/// The number of an address.
#[must_use]
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// A block of addresses: those that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cidr {
    /// Its family.
    pub family: AddressFamily,
    base: u128,
    prefix: u8,
}

impl Cidr {
    /// The block of one address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        let family = AddressFamily::of(address);
        Self { family, base: number(address), prefix: family.bits() }
    }

    /// How many bits its addresses share.
    #[must_use]
    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    /// Its first and last address, as numbers.
    #[must_use]
    pub fn bounds(self) -> (u128, u128) {
        let free = self.family.bits() - self.prefix;
        let span = if free == 128 { u128::MAX } else { (1_u128 << free) - 1 };
        (self.base, self.base | span)
    }

    /// Whether an address is in it.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        // By the bits that they share: whoever asks by bounds is told the same in another way.
        let free = u32::from(self.family.bits() - self.prefix);
        AddressFamily::of(address) == self.family && (number(address) ^ self.base).checked_shr(free).unwrap_or(0) == 0
    }
}

/// A text that is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no block of addresses")]
pub struct CidrError(String);

impl FromStr for Cidr {
    type Err = CidrError;

    /// Bits behind the prefix are cleared, as AWS does.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let refuse = || CidrError(text.chars().take(64).collect());
        let (base, prefix) = text.trim().split_once('/').map_or((text.trim(), None), |(base, prefix)| (base, Some(prefix)));
        let address: IpAddr = base.parse().map_err(|_| refuse())?;
        let family = AddressFamily::of(address);
        let prefix = prefix.map_or(Ok(family.bits()), |prefix| prefix.parse::<u8>().map_err(|_| refuse()))?;
        if prefix > family.bits() {
            return Err(refuse());
        }
        let free = family.bits() - prefix;
        let base = if free == 128 { 0 } else { number(address) >> free << free };
        Ok(Self { family, base, prefix })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.family.address(self.base), self.prefix)
    }
}

/// The fewest blocks that make up a set.
#[must_use]
pub fn blocks(family: AddressFamily, set: &RangeSet<u128>) -> Vec<Cidr> {
    let mut out = Vec::new();
    for &(first, last) in set.ranges() {
        let mut at = first;
        loop {
            let aligned = if at == 0 { u32::from(family.bits()) } else { at.trailing_zeros().min(u32::from(family.bits())) };
            let mut free = aligned;
            // The largest block that begins here and does not reach beyond the end.
            while free > 0 && (free == 128 && (at, last) != (0, u128::MAX) || free < 128 && at + ((1_u128 << free) - 1) > last) {
                free -= 1;
            }
            let block = Cidr { family, base: at, prefix: family.bits() - u8::try_from(free).unwrap_or(0) };
            out.push(block);
            match block.bounds().1.checked_add(1) {
                Some(next) if next <= last => at = next,
                _ => break,
            }
        }
    }
    out
}

/// Addresses from which packets may come over the internet: what is not set aside for other use (RFC 6890), and of IPv6 what is
/// global unicast.
#[must_use]
pub fn internet(family: AddressFamily) -> RangeSet<u128> {
    const RESERVED: [&str; 10] = [
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
    ];
    match family {
        AddressFamily::V4 => {
            let reserved = RESERVED.iter().filter_map(|text| text.parse::<Cidr>().ok()).map(Cidr::bounds);
            family.all().difference(&RangeSet::of(reserved))
        }
        AddressFamily::V6 => {
            "2000::/3".parse::<Cidr>().map(|block| block.bounds()).map_or_else(|_| RangeSet::default(), |(a, b)| RangeSet::range(a, b))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_are_read_and_written() {
        for (text, shown) in
            [("10.0.0.5/8", "10.0.0.0/8"), ("1.2.3.4", "1.2.3.4/32"), ("::/0", "::/0"), ("2600:1f00::1/56", "2600:1f00::/56")]
        {
            assert_eq!(text.parse::<Cidr>().unwrap().to_string(), shown);
        }
        for bad in ["", "10.0.0.0/33", "x/8", "10.0.0.0/", "::/129"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
        let everything = blocks(AddressFamily::V6, &RangeSet::all());
        assert_eq!(everything.iter().map(ToString::to_string).collect::<Vec<_>>(), ["::/0"]);
        assert!(
            !internet(AddressFamily::V4).contains(number("10.1.1.1".parse().unwrap()))
                && internet(AddressFamily::V4).contains(number("8.8.8.8".parse().unwrap()))
        );
    }

    proptest! {
        #[test]
        fn blocks_make_up_their_set(ranges in prop::collection::vec((0..300_u128, 0..300_u128), 0..4)) {
            let set = RangeSet::of(ranges);
            let again = RangeSet::of(blocks(AddressFamily::V4, &set).into_iter().map(Cidr::bounds));
            prop_assert_eq!(again, set);
        }
    }
}
