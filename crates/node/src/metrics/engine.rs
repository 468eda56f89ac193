//! The log engine: directories, commits, checkpoints, compaction, memory.
use admin::text::Gone;
use storage::{Counters, LogDir};

use super::report::{Column, Report};
use super::{Reading, Source};

/// One directory, read.
struct Row {
    path: String,
    directory: LogDir,
    counters: Counters,
}

pub async fn write(report: &mut Report, source: &Source, now: &Reading, before: &Reading) -> Result<(), Gone> {
    let row = |directory: LogDir| Row {
        path: directory.path().display().to_string(),
        counters: directory.counters(),
        directory,
    };
    let rows: Vec<Row> = source.directories().into_iter().map(row).collect();
    let configured = source.broker.replicas.directories();
    report.one("kafka_log_logmanager_offlinelogdirectorycount", configured.offline_count()).await?;
    report
        .rows("kafka_log_logmanager_logdirectoryoffline", configured.all(), |samples, directory| {
            let path = directory.path().display().to_string();
            samples.add(&[("logDirectory", &path)], directory.online().is_none());
        })
        .await?;
    let lately = now.syncs.since(&before.syncs);
    report
        .family("kafka_log_logflushstats_logflushrateandtimems", |samples| {
            samples.summary_ms(&[], &now.syncs, &lately);
        })
        .await?;
    report
        .rows("ottla_commit_seconds", &rows, |samples, row| {
            samples.histogram(&[("directory", &row.path)], &row.directory.commit_times().both);
        })
        .await?;
    report
        .rows("ottla_commit_phase_seconds", &rows, |samples, row| {
            let times = row.directory.commit_times();
            for (phase, distribution) in [("write", &times.write), ("sync", &times.sync)] {
                samples.histogram(&[("directory", &row.path), ("phase", phase)], distribution);
            }
        })
        .await?;
    write_counters(report, &rows).await?;
    write_state(report, source, &rows).await
}

async fn write_counters(report: &mut Report, rows: &[Row]) -> Result<(), Gone> {
    let counters: &[Column<Counters, u64>] = &[
        ("ottla_log_appended_batches_total", |counters| counters.appended_batches),
        ("ottla_log_appended_bytes_total", |counters| counters.appended_bytes),
        ("ottla_log_groups_total", |counters| counters.groups),
        ("ottla_log_lane_bytes_total", |counters| counters.lane_bytes),
        ("ottla_log_pieces_total", |counters| counters.pieces),
        ("ottla_log_piece_bytes_total", |counters| counters.piece_bytes),
        ("ottla_log_direct_pieces_total", |counters| counters.direct_pieces),
        ("ottla_log_segment_syncs_total", |counters| counters.segment_syncs),
        ("ottla_log_checkpoints_total", |counters| counters.checkpoints),
        ("ottla_log_recycled_files_total", |counters| counters.recycled_files),
        ("ottla_log_compactions_total", |counters| counters.compactions),
        ("ottla_log_compaction_read_bytes_total", |counters| counters.compacted_bytes_before),
        ("ottla_log_compaction_kept_bytes_total", |counters| counters.compacted_bytes_after),
        ("ottla_log_tails_bytes", |counters| counters.tail_bytes),
    ];
    for (name, value) in counters {
        report.rows(name, rows, |samples, row| samples.add(&[("directory", &row.path)], value(&row.counters))).await?;
    }
    Ok(())
}

async fn write_state(report: &mut Report, source: &Source, rows: &[Row]) -> Result<(), Gone> {
    let state: &[Column<LogDir, u64>] = &[
        ("ottla_log_tails_max_bytes", |directory| directory.memory_bytes_max() as u64),
        ("ottla_log_faulty_ranges", |directory| directory.faulty_ranges() as u64),
        ("ottla_log_strays", |directory| directory.strays_count() as u64),
        ("ottla_log_directory_full", |directory| directory.refuses_produce().into()),
    ];
    for (name, value) in state {
        report.rows(name, rows, |samples, row| samples.add(&[("directory", &row.path)], value(&row.directory))).await?;
    }
    let space = |row: &Row| source.broker.env.disk.space(row.directory.path()).ok();
    let rows: Vec<_> = rows.iter().filter_map(|row| Some((&row.path, space(row)?))).collect();
    report
        .rows("ottla_log_directory_free_bytes", &rows, |samples, (path, space)| {
            samples.add(&[("directory", path)], space.free_bytes);
        })
        .await?;
    report
        .rows("ottla_log_directory_size_bytes", &rows, |samples, (path, space)| {
            samples.add(&[("directory", path)], space.total_bytes);
        })
        .await
}
