//! Where the workspace is, and how programs are run in it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Why a verb did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 1 }
    }

    /// The command line is wrong.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { text: text.into(), code: 2 }
    }

    pub(crate) const fn code(&self) -> u8 {
        self.code
    }

    /// Whether somebody has said it already.
    pub(crate) fn is_told(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// The workspace.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) root: PathBuf,
}

impl Context {
    pub(crate) fn new() -> Result<Self, Failure> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.parent().ok_or_else(|| Failure::new("xtask has no parent folder"))?;
        Ok(Self { root: root.to_owned() })
    }

    /// Runs a program in the workspace and shows what it prints.
    pub(crate) fn run(&self, program: &str, args: &[&str]) -> Result<(), Failure> {
        eprintln!("$ {program} {}", args.join(" "));
        let status = self.command(program, args).status()?;
        match status.code() {
            Some(0) => Ok(()),
            // The program has said why.
            code => Err(Failure {
                text: format!("`{program} {}` failed: {status}", args.join(" ")),
                code: exit_code(code),
            }),
        }
    }

    /// Runs a program that tells a person itself what went wrong.
    pub(crate) fn hand_over(&self, program: &str, args: &[&str]) -> Result<(), Failure> {
        let status = self.command(program, args).status()?;
        match status.code() {
            Some(0) => Ok(()),
            code => Err(Failure { text: String::new(), code: exit_code(code) }),
        }
    }

    /// Runs a program in the workspace and returns what it prints.
    pub(crate) fn output(&self, program: &str, args: &[&str]) -> Result<String, Failure> {
        let output = self.command(program, args).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Failure::new(format!("`{program} {}` failed:\n{errors}", args.join(" "))))
    }

    /// Returns the package in the folder `name` of `crates/`.
    pub(crate) fn package(&self, name: &str) -> Result<&'static str, Failure> {
        // The folders are named as people speak; two packages say on crates.io
        // what they belong to.
        let package = match name {
            "cent" => "cent",
            "client-core" => "realtime-client-core",
            "emitter" => "emitter",
            "high-templar" => "high-templar",
            "high-templar-client" => "high-templar-client",
            "sandbox" => "realtime-sandbox",
            "satori-rtm" => "satori-rtm",
            "stream-sea" => "stream-sea",
            "ws-core" => "ws-core",
            _ => {
                let known = self.folders()?.join(", ");
                return Err(Failure::usage(format!("no crate {name:?}; there are {known}")));
            }
        };
        Ok(package)
    }

    /// Returns the folders of `crates/`, in order.
    pub(crate) fn folders(&self) -> Result<Vec<String>, Failure> {
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(self.root.join("crates"))? {
            let entry = entry?;
            if entry.path().join("Cargo.toml").exists() {
                folders.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        folders.sort();
        Ok(folders)
    }

    /// A program to be run in the workspace.
    pub(crate) fn command(&self, program: &str, args: &[&str]) -> Command {
        // The cargo that runs us, so that a chosen toolchain stays chosen.
        let program = match program {
            "cargo" => std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()),
            other => other.into(),
        };
        let mut command = Command::new(program);
        command.args(args).current_dir(&self.root);
        command
    }
}

fn exit_code(code: Option<i32>) -> u8 {
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}
