use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// A running program. Dropping it kills it; when the test fails its output is printed.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let lines = Arc::default();
        if let Some(stdout) = child.stdout.take() {
            collect(stdout, Arc::clone(&lines));
        }
        if let Some(stderr) = child.stderr.take() {
            collect(stderr, Arc::clone(&lines));
        }
        Self { child, lines }
    }

    /// What it has printed so far, to stdout and stderr.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first line that contains `text`; the test fails when there is none in time, or the program ends before.
    pub fn wait_for(&mut self, text: &str, timeout: Duration) -> String {
        let end = Instant::now() + timeout;
        loop {
            let over = self.ended();
            if let Some(line) = self.lines().into_iter().find(|line| line.contains(text)) {
                return line;
            }
            assert!(!over, "the program ended without printing '{text}'");
            assert!(Instant::now() < end, "the program did not print '{text}' within {timeout:?}");
            thread::sleep(PAUSE);
        }
    }

    /// The address after `listening on`.
    pub fn url(&mut self) -> String {
        let line = self.wait_for("listening on http", Duration::from_secs(30));
        let url = line.split_whitespace().find(|word| word.starts_with("http"));
        url.map(str::to_owned).expect("an address in the line")
    }

    /// Whether it has ended.
    pub fn ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Ends it without a chance to do anything (`kill -9`).
    pub fn kill(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Asks it to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end as Ctrl-C does (SIGINT).
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// Tells it to read its configuration again (SIGHUP).
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Makes it stand still (SIGSTOP).
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Waits until it has ended; the test fails when it does not in time.
    pub fn wait(&mut self, timeout: Duration) -> ExitStatus {
        let end = Instant::now() + timeout;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) => assert!(Instant::now() < end, "the program did not end within {timeout:?}"),
                Err(error) => panic!("the program cannot be waited for: {error}"),
            }
            thread::sleep(PAUSE);
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("the program's id");
        // It may have ended by itself.
        let _gone = kill_process(pid, signal);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let output = self.lines().join("\n");
            drop(writeln!(std::io::stderr(), "---- output of process {}\n{output}\n----", self.child.id()));
        }
    }
}

fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<Vec<String>>>) {
    let read = move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    };
    thread::spawn(read);
}

#[cfg(test)]
mod tests {
    use crate::Binary;

    #[test]
    fn lines_are_seen_and_a_killed_program_is_gone() {
        let mut process = Binary::new("/bin/sh").start(["-c", "echo listening on http://x:1; sleep 60"]);
        assert_eq!(process.url(), "http://x:1");
        process.kill();
        assert!(process.ended());
    }

    #[test]
    fn a_program_s_end_is_told_with_its_code() {
        assert_eq!(Binary::new("/bin/sh").run(["-c", "echo bad >&2; exit 3"]).failure(3), ["bad"]);
    }
}
