//! From a network's configuration to what is reachable, by whom, on which ports, with a packet that shows it. Pure.
//!
//! [`Snapshot`] is what is configured, [`evaluate`] all that can be reached from outside, [`trace`] one packet hop by hop, with the
//! first rule that stops it. The two are written apart and are each other's test.

mod address;
mod balance;
mod compare;
mod describe;
mod evaluate;
mod mode;
mod network;
mod one_way;
mod parts;
mod perimeter;
mod ranges;
mod references;
mod severity;
mod snapshot;
mod trace;

pub use address::{AddressFamily, Cidr, CidrError, blocks, internet};
pub use compare::{Difference, compare, what_if};
pub use describe::{DescribeError, read_descriptions};
pub use evaluate::{Analysis, Opening, Step, evaluate};
pub use mode::Mode;
pub use network::{Change, Network};
pub use one_way::evaluate_one_way;
pub use parts::Part;
pub use perimeter::SourceClass;
pub use ranges::{Point, RangeSet};
pub use severity::{Breadth, OpeningSeverity};
pub use snapshot::*;
pub use trace::{Blocked, Journey, Packet, arrive, arrive_one_way, arrive_over, trace};
