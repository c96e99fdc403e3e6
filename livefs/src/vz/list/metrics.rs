//! `vzlist --metrics`: containers in Prometheus' text format (version 0.0.4), for a scraper or node-exporter's textfile collector.

use super::{Row, Status};
use crate::vz::conf::UNLIMITED;
use std::fmt::Write;

/// A metric: its name, type and help, and its samples of one container.
type Metric = (&'static str, &'static str, &'static str, fn(&Row, &mut Samples));

/// Samples of one container, labelled with its number.
struct Samples<'a> {
    name: &'static str,
    ctid: u32,
    out: &'a mut String,
}

impl Samples<'_> {
    fn add(&mut self, labels: &[(&str, &str)], value: f64) {
        let mut all = format!("ctid=\"{}\"", self.ctid);
        for (label, value) in labels {
            // The three characters that the format escapes.
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(all, ",{label}=\"{value}\"");
        }
        let _ = writeln!(self.out, "{}{{{all}}} {value}", self.name);
    }
}

/// A limit: no limit is Prometheus' infinity.
fn limit(value: u64) -> f64 {
    if value >= UNLIMITED { f64::INFINITY } else { value as f64 }
}

const METRICS: &[Metric] = &[
    ("vz_container_info", "gauge", "A container, always 1.", |row, samples| {
        let get = |key| row.ct.config.get(key).unwrap_or_default();
        let name = if row.named { get("NAME") } else { "" };
        let (hostname, template) = (get("HOSTNAME"), get("OSTEMPLATE"));
        let labels = [("name", name), ("hostname", hostname), ("ostemplate", template), ("layout", row.layout)];
        samples.add(&labels, 1.0);
    }),
    ("vz_container_status", "gauge", "Whether a container has this status.", |row, samples| {
        for status in [Status::Running, Status::Mounted, Status::Stopped, Status::Suspended] {
            samples.add(&[("status", status.word())], f64::from(u8::from(row.status == status)));
        }
    }),
    ("vz_container_uptime_seconds", "gauge", "Time since the container started.", |row, samples| {
        row.usage.uptime.into_iter().for_each(|seconds| samples.add(&[], seconds));
    }),
    ("vz_container_load", "gauge", "Load average of the container.", |row, samples| {
        for (value, period) in row.usage.load.into_iter().flatten().zip(["1m", "5m", "15m"]) {
            samples.add(&[("period", period)], value);
        }
    }),
    ("vz_container_beancounter", "gauge", "Usage and limits of a resource, in its own unit.", |row, samples| {
        for counter in &row.usage.counters {
            let name = ("resource", counter.name.as_str());
            samples.add(&[name, ("value", "held")], counter.held as f64);
            samples.add(&[name, ("value", "maxheld")], counter.maxheld as f64);
            if let Some((barrier, most)) = counter.set {
                samples.add(&[name, ("value", "barrier")], limit(barrier));
                samples.add(&[name, ("value", "limit")], limit(most));
            }
        }
    }),
    (
        "vz_container_beancounter_failures_total",
        "counter",
        "How often a resource was refused because of its limit.",
        |row, samples| {
            for counter in &row.usage.counters {
                samples.add(&[("resource", counter.name.as_str())], counter.failcnt as f64);
            }
        },
    ),
    ("vz_container_disk_used_bytes", "gauge", "Disk space in use.", |row, samples| {
        row.usage.disk.into_iter().for_each(|(blocks, _)| samples.add(&[], blocks as f64 * 1024.0));
    }),
    ("vz_container_disk_used_inodes", "gauge", "Inodes in use.", |row, samples| {
        row.usage.disk.into_iter().for_each(|(_, inodes)| samples.add(&[], inodes as f64));
    }),
];

/// All metrics of containers. A metric without a sample is left out.
pub(super) fn text(rows: &[Row]) -> String {
    let mut all = String::new();
    for (name, kind, help, samples) in METRICS {
        let mut out = String::new();
        for row in rows {
            samples(row, &mut Samples { name, ctid: row.ct.id, out: &mut out });
        }
        if !out.is_empty() {
            let _ = write!(all, "# HELP {name} {help}\n# TYPE {name} {kind}\n{out}");
        }
    }
    all
}
