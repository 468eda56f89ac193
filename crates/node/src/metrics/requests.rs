//! Requests, their times, and the connections that bring them.
use std::time::Duration;

use admin::text::Gone;
use protocol::ApiKey;
use server::api::SERVED;
use server::quotas::{KINDS, Kind, Throttled};
use server::request_times::{ApiDistributions, PARTS, Part};
use tally::Distribution;

use super::report::Report;
use super::{Reading, Source};

/// What is known of one API: since the start, and when the last minutes began.
struct Times {
    request: &'static str,
    all: ApiDistributions,
    before: Option<ApiDistributions>,
}

/// Kafka tells consumers' fetches from followers', and also counts all of them together. No follower fetches from the only
/// node there is.
const FETCH: &str = "Fetch";
const FETCH_CONSUMER: &str = "FetchConsumer";

pub fn readings(source: &Source) -> Vec<Option<ApiDistributions>> {
    (0..SERVED.len()).map(|api| source.broker.request_times.read(api)).collect()
}

pub async fn write(report: &mut Report, source: &Source, now: &Reading, before: &Reading) -> Result<(), Gone> {
    let mut rows = Vec::new();
    for (index, served) in SERVED.iter().enumerate() {
        let names: &[&'static str] = match served.key {
            ApiKey::Fetch => &[FETCH, FETCH_CONSUMER],
            _ => &[served.key.name()],
        };
        if let Some(all) = &now.requests[index] {
            let before = before.requests.get(index).and_then(Option::as_ref);
            rows.extend(names.iter().map(|request| Times { request, all: all.clone(), before: before.cloned() }));
        }
    }
    report
        .rows("kafka_network_requestmetrics_requests_total", &rows, |samples, row| {
            samples.add(&[("request", row.request)], row.all.total.count());
        })
        .await?;
    write_errors(report, source).await?;
    let none = Distribution::NONE;
    report
        .rows("kafka_network_requestmetrics_totaltimems", &rows, |samples, row| {
            let before = row.before.as_ref().map_or(&none, |before| &before.total);
            samples.summary_ms(&[("request", row.request)], &row.all.total, &row.all.total.since(before));
        })
        .await?;
    for (index, part) in PARTS.into_iter().enumerate() {
        report
            .rows(bean_of(part), &rows, |samples, row| {
                let (all, before) =
                    (&row.all.parts[index], row.before.as_ref().map_or(&none, |before| &before.parts[index]));
                samples.summary_ms(&[("request", row.request)], all, &all.since(before));
            })
            .await?;
    }
    report
        .rows("kafka_network_requestmetrics_responsequeuetimems", &rows, |samples, row| {
            let at_once = |all: &Distribution| {
                let mut at_once = none.clone();
                at_once.add_instant(all.count());
                at_once
            };
            let recent = row.all.total.since(row.before.as_ref().map_or(&none, |before| &before.total));
            samples.summary_ms(&[("request", row.request)], &at_once(&row.all.total), &at_once(&recent));
        })
        .await?;
    rows.retain(|row| row.request != FETCH_CONSUMER); // Ours say it once.
    report
        .rows("ottla_request_seconds", &rows, |samples, row| {
            samples.histogram(&[("request", row.request)], &row.all.total);
        })
        .await?;
    report
        .rows("ottla_request_phase_seconds", &rows, |samples, row| {
            for (part, distribution) in PARTS.into_iter().zip(&row.all.parts) {
                samples.coarse_histogram(&[("request", row.request), ("phase", phase_of(part))], distribution);
            }
        })
        .await?;
    let queued = source.broker.request_times.queued.value();
    report.one("kafka_network_requestchannel_requestqueuesize", queued).await?;
    write_connections(report, source).await?;
    write_idle(report, now, before).await
}

/// Of each API by itself: Kafka counts the errors of all fetches together.
async fn write_errors(report: &mut Report, source: &Source) -> Result<(), Gone> {
    let of_api = |(index, served): (usize, &server::api::Served)| {
        let request = served.key.name();
        source.broker.error_counts.read(index).into_iter().map(move |(error, count)| (request, error.name(), count))
    };
    let rows: Vec<(&str, &str, u64)> = SERVED.iter().enumerate().flat_map(of_api).collect();
    report
        .rows("kafka_network_requestmetrics_errors_total", &rows, |samples, (request, error, count)| {
            samples.add(&[("request", request), ("error", error)], *count);
        })
        .await
}

fn bean_of(part: Part) -> &'static str {
    match part {
        Part::RequestQueue => "kafka_network_requestmetrics_requestqueuetimems",
        Part::Local => "kafka_network_requestmetrics_localtimems",
        Part::Remote => "kafka_network_requestmetrics_remotetimems",
        Part::ResponseSend => "kafka_network_requestmetrics_responsesendtimems",
    }
}

fn phase_of(part: Part) -> &'static str {
    match part {
        Part::RequestQueue => "request_queue",
        Part::Local => "local",
        Part::Remote => "remote",
        Part::ResponseSend => "response_send",
    }
}

async fn write_connections(report: &mut Report, source: &Source) -> Result<(), Gone> {
    let listeners = &source.listeners;
    report
        .rows("kafka_server_socket_server_metrics_connection_count", listeners, |samples, (listener, counts)| {
            samples.add(&[("listener", listener), ("networkProcessor", "0")], counts.open.value());
        })
        .await?;
    report
        .rows("ottla_connections", listeners, |samples, (listener, counts)| {
            samples.add(&[("listener", listener)], counts.open.value());
        })
        .await?;
    report
        .rows("ottla_connections_opened_total", listeners, |samples, (listener, counts)| {
            samples.add(&[("listener", listener)], counts.opened.value());
        })
        .await?;
    report
        .rows("ottla_connections_refused_total", listeners, |samples, (listener, counts)| {
            samples.add(&[("listener", listener)], counts.refused.value());
        })
        .await?;
    report
        .rows("ottla_connections_excess_total", listeners, |samples, (listener, counts)| {
            samples.add(&[("listener", listener)], counts.excess.value());
        })
        .await?;
    let throttled = throttled(source);
    report
        .rows("ottla_throttles_total", &throttled, |samples, (quota, times, _)| {
            samples.add(&[("quota", quota)], *times)
        })
        .await?;
    report
        .rows("ottla_throttle_seconds_total", &throttled, |samples, (quota, _, silence)| {
            samples.add(&[("quota", quota)], silence.as_secs_f64());
        })
        .await?;
    report.one("ottla_request_memory_bytes", source.frame_memory.bytes()).await?;
    let sessions = source.broker.fetch_sessions.len();
    report.one("kafka_server_fetchsessioncache_numincrementalfetchsessions", sessions).await
}

/// By quota: how often, and for how long in all.
fn throttled(source: &Source) -> Vec<(&'static str, u64, Duration)> {
    let sum = |quota, all: &[&Throttled]| {
        let nanos = all.iter().map(|throttled| throttled.nanos.value()).sum();
        (quota, all.iter().map(|throttled| throttled.times.value()).sum(), Duration::from_nanos(nanos))
    };
    let listeners = || source.listeners.iter().map(|(_, counts)| counts);
    let of_addresses: Vec<&Throttled> = listeners().map(|counts| &counts.throttled).collect();
    let of_listeners: Vec<&Throttled> = listeners().map(|counts| &counts.delayed).collect();
    let of_connections = [sum("connection", &of_addresses), sum("connection_creation", &of_listeners)];
    let of_clients = KINDS.iter().map(|kind| sum(quota(*kind), &[source.broker.quotas.throttled(*kind)]));
    of_connections.into_iter().chain(of_clients).collect()
}

fn quota(kind: Kind) -> &'static str {
    match kind {
        Kind::ControllerMutation => "controller_mutation",
        Kind::Fetch => "fetch",
        Kind::Produce => "produce",
        Kind::Request => "request",
    }
}

/// Nothing where the world does not say how busy its threads are.
async fn write_idle(report: &mut Report, now: &Reading, before: &Reading) -> Result<(), Gone> {
    let (Some(busy), Some(busy_before)) = (&now.busy, &before.busy) else { return Ok(()) };
    let passed = (now.at - before.at).as_secs_f64() * busy.threads as f64;
    let worked = busy.time.saturating_sub(busy_before.time).as_secs_f64();
    let idle = if passed > 0.0 { (1.0 - worked / passed).clamp(0.0, 1.0) } else { 1.0 };
    report.one("kafka_network_socketserver_networkprocessoravgidle_percent", idle).await?;
    report.one("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent", idle).await
}
