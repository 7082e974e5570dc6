//! Hosts that tell a server of themselves.

use super::Json;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct Agent {
    #[command(subcommand)]
    pub(crate) what: AgentWhat,
}

#[derive(Debug, Subcommand)]
pub(crate) enum AgentWhat {
    /// Has the server make a token with which one agent is let in, once and within the hour.
    Token(Json),
    /// The agents that were let in, and when each was heard of.
    List(Json),
    /// Takes an agent's key back and forgets its host.
    Remove {
        /// The agent's id.
        id: String,
    },
    /// Makes this machine's agent known to a server.
    Enroll {
        /// The server: `https://…`, or `http://127.0.0.1:…` on this machine.
        #[arg(long, value_name = "URL")]
        server: String,
        /// The token; `-` reads it from standard input, where no other user sees it.
        #[arg(long, value_name = "TOKEN")]
        token: String,
    },
    /// Tells the server what is on this machine, again and again.
    Run {
        /// Tells once and ends.
        #[arg(long)]
        once: bool,
    },
    /// Prints a systemd unit that runs the agent.
    Unit,
}
