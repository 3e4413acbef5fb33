//! The command line (docs/protocols/satori-rtm.md, 17).

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use satori_rtm::{Mode, Position, Subscribe};

/// Publish, subscribe, record and replay messages of a Satori RTM service.
///
/// Options come from the configuration file, from the environment (SATORI_ENDPOINT,
/// SATORI_APPKEY, SATORI_ROLE_NAME, SATORI_ROLE_SECRET) and from the command line; the
/// last one that names an option wins. Diagnostics go to stderr, messages to stdout.
///
/// Exit status: 0 done, or interrupted; 1 an option that cannot be used, no connection,
/// or a request that was refused or not answered; 2 a command line that cannot be read.
#[derive(Debug, Parser)]
#[command(name = "rtm", version, arg_required_else_help = true)]
pub(crate) struct Options {
    /// The service: ws:// or wss:// and a host, with a port and a path where it has them.
    #[arg(short, long, global = true)]
    pub(crate) endpoint: Option<String>,
    /// The application's key.
    #[arg(short, long, global = true)]
    pub(crate) appkey: Option<String>,
    /// The role to authenticate as, if there is a secret, too.
    #[arg(short = 'n', long, visible_alias = "role_name", global = true)]
    pub(crate) role_name: Option<String>,
    /// The role's secret. Others can see it here: the environment is a better place.
    #[arg(short = 's', long, visible_alias = "role_secret", global = true)]
    pub(crate) role_secret: Option<String>,
    /// How much is told on stderr: 0 errors, 1 warnings, 2 and 3 more. Default 1.
    #[arg(short, long, global = true)]
    pub(crate) verbosity: Option<String>,
    /// Indent what is printed by 2.
    #[arg(short = 'j', long, visible_alias = "prettify_json", global = true)]
    pub(crate) prettify_json: bool,
    /// Send requests and ask for no answer.
    #[arg(short = 'q', long, visible_alias = "disable_acks", global = true)]
    pub(crate) disable_acks: bool,
    /// What happens after a lost connection: simple, reliable or advanced. Default
    /// advanced.
    #[arg(short, long, global = true)]
    pub(crate) delivery: Option<String>,
    /// The window of a view that counts, in seconds.
    #[arg(short, long, global = true)]
    pub(crate) period: Option<u64>,
    /// The encoding: json or cbor. Default json.
    #[arg(long, global = true)]
    pub(crate) protocol: Option<String>,
    /// One JSON object a line on stdout, for programs: subscription and message, gap or
    /// end.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The configuration file, TOML with the options as keys, or JSON in the form of
    /// credentials.json. Default $XDG_CONFIG_HOME/satori/rtm-cli.config.
    #[arg(short, long, global = true)]
    pub(crate) config: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the messages of channels until interrupted.
    Subscribe {
        #[arg(required = true)]
        channels: Vec<String>,
        #[command(flatten)]
        start: Start,
    },
    /// Print what a view shows until interrupted.
    View {
        query: String,
        #[command(flatten)]
        start: Start,
    },
    /// Publish each line of stdin: as JSON if it is some, else as a text.
    Publish { channel: String },
    /// Print a channel's value.
    Read { key: String },
    /// Write a channel's value: as JSON if it is some, else as a text.
    Write { key: String, value: String },
    /// Delete a channel's value.
    Delete { key: String },
    /// Write what channels deliver to a file, a line for each delivery, with the time.
    Record(Record),
    /// Publish what was recorded, at its pace.
    Replay(Replay),
}

/// Where a subscription starts.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Start {
    /// Start at this position.
    #[arg(long)]
    position: Option<String>,
    /// Start this many messages before.
    #[arg(long)]
    count: Option<u64>,
    /// Start with messages of this age in seconds; wins over --count.
    #[arg(long)]
    age: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Record {
    #[arg(required = true)]
    pub(crate) channels: Vec<String>,
    #[command(flatten)]
    pub(crate) start: Start,
    /// Where to write. Default stdout.
    #[arg(short, long, visible_alias = "output_file")]
    pub(crate) output_file: Option<PathBuf>,
    /// Stop after so many bytes; k, m and g stand for thousands.
    #[arg(long, visible_alias = "size_limit_in_bytes", value_parser = limit)]
    pub(crate) size_limit_in_bytes: Option<u64>,
    /// Stop after so many seconds.
    #[arg(long, visible_alias = "time_limit_in_seconds", value_parser = limit)]
    pub(crate) time_limit_in_seconds: Option<u64>,
    /// Stop after so many messages.
    #[arg(long, visible_alias = "message_count_limit", value_parser = limit)]
    pub(crate) message_count_limit: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// Where to read. Default stdin.
    #[arg(short, long, visible_alias = "input_file")]
    pub(crate) input_file: Option<PathBuf>,
    /// How often: a number, or inf. Needs --input-file.
    #[arg(short = 'l', long = "loop", value_parser = repeats, requires = "input_file")]
    pub(crate) repeats: Option<u64>,
    /// How fast: 2x, 0.5x, or unlimited. Default 1x.
    #[arg(short, long, default_value = "1x")]
    pub(crate) rate: String,
    /// Publish everything to this channel.
    #[arg(long, visible_alias = "override_channel")]
    pub(crate) override_channel: Option<String>,
}

/// What a subscription does after a loss.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Delivery {
    Simple,
    Reliable,
    Advanced,
}

impl From<Delivery> for Mode {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Simple => Self::Simple,
            Delivery::Reliable => Self::Reliable,
            Delivery::Advanced => Self::Advanced,
        }
    }
}

impl Start {
    pub(crate) fn add_to(&self, options: Subscribe) -> Subscribe {
        let options = options.from(self.position.as_deref().map(Position::from));
        match (self.age, self.count) {
            (Some(age), _) => options.history_age(Duration::from_secs(age)),
            (None, Some(count)) => options.history_count(count),
            (None, None) => options,
        }
    }
}

/// A number with k, m and g for thousands, as often as wanted: 3kk is three millions.
fn limit(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| "kmgKMG".contains(c));
    let number: u64 = digits.parse().map_err(|_| "takes a number, such as 100, 5k or 2m")?;
    let suffixes = text.get(digits.len()..).unwrap_or_default().chars();
    let thousands = suffixes.map(|suffix| match suffix.to_ascii_lowercase() {
        'k' => 1,
        'm' => 2,
        _ => 3,
    });
    let factor = 1000_u64.checked_pow(thousands.sum());
    factor.and_then(|factor| number.checked_mul(factor)).ok_or_else(|| "is too great".to_owned())
}

/// A number of repeats; `inf` is more than anybody waits for.
fn repeats(text: &str) -> Result<u64, String> {
    match text {
        "inf" => Ok(u64::MAX),
        number => number.parse().map_err(|_| "takes a number or inf".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Options::command().debug_assert();
    }

    #[test]
    fn limits_have_suffixes() {
        for (text, expected) in [
            ("7", Some(7)),
            ("5k", Some(5000)),
            ("3kk", Some(3_000_000)),
            ("2M", Some(2_000_000)),
            ("1g", Some(1_000_000_000)),
            ("x", None),
            ("k", None),
            ("9ggg", None),
        ] {
            assert_eq!(limit(text).ok(), expected, "{text}");
        }
    }
}
