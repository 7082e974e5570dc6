//! From a network snapshot to what is reachable, by whom, on which ports, with a witness.
