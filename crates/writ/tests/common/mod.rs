//! What the tests of the whole binary share: processes that end with the test,
//! and the pack with its recording of a service that fails.

mod recorded;

pub(crate) use recorded::{RECORDINGS, copied, recorded_pack, recordings};

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A process that ends with the test; its output stays open until then.
pub(crate) struct Process {
    child: Child,
    _output: BufReader<std::process::ChildStdout>,
}

impl Process {
    /// Ends it now, without a word (SIGKILL).
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

pub(crate) fn started(arguments: &[&str]) -> (Process, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_writ"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    let output = child.stdout.take().expect("its output is piped");
    let mut output = BufReader::new(output);
    let mut line = String::new();
    output.read_line(&mut line).expect("it says where it is");
    let process = Process {
        child,
        _output: output,
    };
    (process, line.trim().to_owned())
}
