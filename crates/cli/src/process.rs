//! What the machine says about this process, for Prometheus.

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Ticks of the processor's clock in a second, as Linux tells them to programs.
const TICKS: f64 = 100.0;

/// The figures that exporters of all programs give, as far as this machine tells them.
pub(crate) fn render(age: Duration) -> String {
    let mut text = String::new();
    let mut put = |name: &str, shape: &str, help: &str, value: f64| {
        // Writing to a text cannot fail.
        let _written = write!(text, "# HELP {name} {help}\n# TYPE {name} {shape}\n{name} {value}\n");
    };
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(age);
    put(
        "process_start_time_seconds",
        "gauge",
        "Start of the process, in seconds since 1970.",
        begun.as_secs_f64(),
    );
    if let Some(bytes) = resident() {
        put("process_resident_memory_bytes", "gauge", "Memory that the process holds.", bytes);
    }
    if let Some(seconds) = processor() {
        put("process_cpu_seconds_total", "counter", "Processor time that the process took.", seconds);
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        #[expect(clippy::cast_precision_loss, reason = "there are few files")]
        put(
            "process_open_fds",
            "gauge",
            "Files and connections that the process holds.",
            files.count() as f64,
        );
    }
    let version = env!("CARGO_PKG_VERSION");
    let _written = writeln!(
        text,
        "# HELP tributary_build_info The program's version.\n# TYPE tributary_build_info gauge\n\
         tributary_build_info{{version=\"{version}\"}} 1"
    );
    text
}

fn resident() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok().map(|kib| kib * 1024.0)
}

/// User and system time: the 14th and 15th field, counted after the name, which may hold anything.
fn processor() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_processor_time_are_told() {
        let text = render(Duration::from_secs(5));
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0);
        assert!(value("process_cpu_seconds_total") >= 0.0);
    }
}
