//! The command line.

use clap::Parser;
use clap_complete::Shell;

const START: &str = "\
How to start: write a file ~/.centrc with a section for each server, such as

  [bananas]
  address = http://localhost:8000
  secret = long-secret-key-for-bananas-project

and publish:

  cent bananas publish --params='{\"channel\": \"news\", \"data\": {\"title\": \"World Cup 2018\"}}'

Keys of a section: address; secret (v1) or key (v2 and later: the API key);
version, 0 to 6 and 1 if it is not there; project (v0); timeout in seconds.

What the server says is printed as one JSON list. Exit status: 0 if all is well,
1 if the configuration or the request failed, 2 for a wrong command line, 3 if the
server refused the command.";

/// Sends one command to a Centrifugo.
#[derive(Debug, Parser)]
#[command(name = "cent", version, after_help = START, infer_long_args = true)]
pub(super) struct Options {
    /// A section of the configuration
    pub(super) section: Option<String>,

    /// A method, e.g. publish, presence, history, channels
    pub(super) method: Option<String>,

    /// The method's parameters as a JSON object; - reads standard input, as does
    /// leaving it out while something is piped in
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    pub(super) params: Option<String>,

    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "~/.centrc")]
    pub(super) config: String,

    /// Send also what servers do badly with: no user where that means all
    /// anonymous connections, bytes in base64 that are no JSON
    #[arg(long)]
    pub(super) unchecked: bool,

    /// Print completions for a shell
    #[arg(long, value_name = "SHELL", exclusive = true)]
    pub(super) completions: Option<Shell>,
}
