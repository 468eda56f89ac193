//! What strikes the broker, and how it starts again.
use std::ops::Range;
use std::time::Duration;

use env::sim::Machine;
use env::sim::disk::{self, Call};

use super::{FREE_BYTES_MIN, Run, connect};
use crate::broker::{self, Setup};

/// How a process of the broker ends.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    Kill,
    /// Inside a call of the disk.
    KillInCall,
    PowerLoss,
    /// Power fails inside one of the next calls of the disk.
    PowerLossInCall,
    CleanStop,
    /// A sync fails, and the kernel holds what it covered for written. Then the process is killed, or power fails.
    SyncError,
    /// A write fails, and later the process ends.
    WriteError,
    /// Some reads of segments fail, and then the process ends.
    ReadError,
    /// The disk is full, or nearly, for some time.
    DiskFull,
    /// One of two log directories fails, for good.
    DirectoryLost,
    /// One of two log directories has no room for some time.
    DirectoryFull,
}

impl Fault {
    /// Others would keep the broker from starting, and rightly.
    pub(super) fn may_strike_a_start(self) -> bool {
        use Fault::{Kill, KillInCall, PowerLoss, PowerLossInCall};
        matches!(self, Kill | KillInCall | PowerLoss | PowerLossInCall)
    }
}

pub(super) const FAULTS: [Fault; 15] = [
    Fault::Kill,
    Fault::KillInCall,
    Fault::KillInCall,
    Fault::PowerLoss,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::PowerLossInCall,
    Fault::CleanStop,
    Fault::SyncError,
    Fault::SyncError,
    Fault::WriteError,
    Fault::ReadError,
    Fault::DiskFull,
];
/// Where there are two log directories.
pub(super) const FAULTS_OF_TWO: [Fault; 3] = [Fault::DirectoryLost, Fault::DirectoryLost, Fault::DirectoryFull];
/// Calls to end in: each has a rule that makes it harmless.
const CALLS: &[(Call, &str)] = &[
    (Call::Write, "/lane/"),
    (Call::Write, "/lane/"),
    (Call::SyncData, "/lane/"),
    (Call::SyncData, "/lane/"),
    (Call::Write, ".log"),
    (Call::SyncData, ".log"),
    (Call::CreateFile, ".log"),
    (Call::SyncDir, "/data/"),
    (Call::RemoveFile, ".log"),
    (Call::Write, "checkpoint-"),
    (Call::SyncData, "checkpoint-"),
    (Call::Write, "/metadata/"),
];
/// The same for a broker that is starting.
const CALLS_OF_A_START: &[(Call, &str)] = &[
    (Call::Write, "/lane/"),
    (Call::SyncData, "/lane/"),
    (Call::Write, ".log"),
    (Call::SyncData, ".log"),
    (Call::SetLen, ".log"),
    (Call::SyncDir, "/data"),
];
/// Of a disk that is not full.
const FREE_BYTES: u64 = 1 << 40;
/// A broker that was asked to stop has stopped by then.
const STOP_MAX: Duration = Duration::from_secs(5);

impl Run {
    pub(super) async fn strike(&mut self, fault: Fault) {
        self.world.note(&format!("{fault:?}"));
        if !fault.may_strike_a_start() {
            drop(connect(&self.world.env(), self.shared.address).await.expect("a broker that serves"));
            // It listens before its start is over.
            assert!(self.process.starts().await, "the broker does not start");
        }
        self.move_before(fault).await;
        match fault {
            Fault::Kill => self.machine.kill(),
            Fault::KillInCall => {
                let (call, part) = *self.chance.pick(CALLS);
                self.machine.kill_in_call(call, part, self.chance.in_range(0..8));
                if self.ended_by(Duration::from_secs(2), Machine::kill).await {
                    self.shared.met("crash: killed inside the call");
                }
            }
            Fault::PowerLoss => self.machine.power_loss(),
            Fault::PowerLossInCall => {
                self.plan_power_loss(60, CALLS);
                if self.ended_by(Duration::from_secs(2), Machine::power_loss).await {
                    self.shared.met("crash: power lost inside the call");
                }
            }
            Fault::CleanStop => {
                let patience = self.world.sleep(STOP_MAX);
                tokio::select! {
                    biased;
                    () = self.process.stop() => {}
                    () = patience => panic!("the broker does not stop"),
                }
                self.machine.kill();
            }
            Fault::SyncError => {
                let part = *self.chance.pick(&["/lane/", "/lane/", "/lane/", ".log", "checkpoint-"]);
                let fault = disk::Fault::input_output(Call::SyncData).on_path(part);
                self.machine.disk().inject(fault.after(self.chance.in_range(0..4)));
                self.sleep_ms(1..150).await;
            }
            Fault::WriteError => {
                let part = *self.chance.pick(&[".log", ".log", "/lane/"]);
                let fault = disk::Fault::input_output(Call::Write).on_path(part);
                self.machine.disk().inject(fault.after(self.chance.in_range(0..6)));
                self.sleep_ms(1..150).await;
            }
            Fault::ReadError => {
                let fault = disk::Fault::input_output(Call::Read).on_path(".log");
                self.machine.disk().inject(fault.times(self.chance.in_range(1..6)));
                self.sleep_ms(1..150).await;
            }
            Fault::DiskFull => {
                let disk = self.machine.disk();
                disk.set_free_bytes(self.chance.in_range(0..FREE_BYTES_MIN * 2));
                self.sleep_ms(100..3_000).await;
                if self.chance.happens(0.5) {
                    // It goes on by itself.
                    disk.set_free_bytes(FREE_BYTES);
                    self.sleep_ms(10..1_500).await;
                } else {
                    self.shared.met("crash: while the disk was full");
                }
            }
            Fault::DirectoryLost => self.lose_directory().await,
            Fault::DirectoryFull => self.fill_directory().await,
        }
        self.end(fault);
        self.bring_back();
        self.machine.disk().set_free_bytes(FREE_BYTES);
    }

    /// The process is gone, or goes now; the ledger is told how.
    fn end(&mut self, fault: Fault) {
        let lost_power = match fault {
            Fault::Kill | Fault::KillInCall | Fault::CleanStop => false,
            Fault::PowerLoss | Fault::PowerLossInCall => true,
            _ => self.crash(),
        };
        let counter = match fault {
            Fault::Kill | Fault::KillInCall => &mut self.summary.kills,
            Fault::CleanStop => &mut self.summary.clean_stops,
            Fault::PowerLoss | Fault::PowerLossInCall => &mut self.summary.power_losses,
            Fault::SyncError => &mut self.summary.sync_errors,
            Fault::WriteError => &mut self.summary.write_errors,
            Fault::ReadError => &mut self.summary.read_errors,
            Fault::DiskFull => &mut self.summary.full_disks,
            Fault::DirectoryLost | Fault::DirectoryFull => &mut self.summary.directories_failed,
        };
        *counter += 1;
        self.went_down(lost_power);
    }

    /// By a kill, or by a loss of power: which?
    pub(super) fn crash(&mut self) -> bool {
        let lost_power = self.chance.happens(0.5);
        if lost_power {
            self.machine.power_loss()
        } else {
            self.machine.kill()
        }
        lost_power
    }

    pub(super) fn went_down(&mut self, lost_power: bool) {
        self.lost_power = lost_power;
        self.shared.ledger().went_down(lost_power.then(|| self.shared.now()));
    }

    pub(super) async fn sleep_ms(&mut self, span: Range<u64>) {
        let span = Duration::from_millis(self.chance.in_range(span));
        self.world.sleep(span).await;
    }

    /// Power fails in one of the next calls of the disk, whichever it is, or in one of a certain kind.
    fn plan_power_loss(&mut self, calls: u64, kinds: &[(Call, &str)]) {
        if self.chance.happens(0.5) {
            self.machine.power_loss_in(self.chance.in_range(0..calls));
        } else {
            let (call, part) = *self.chance.pick(kinds);
            self.machine.power_loss_in_call(call, part, self.chance.in_range(0..4));
        }
    }

    /// Waits for the end that is planned: true. The call that it waits for may never come: then it ends without.
    async fn ended_by(&self, patience: Duration, end: impl FnOnce(&Machine)) -> bool {
        let patience = self.world.sleep(patience);
        tokio::select! {
            biased;
            () = self.machine.down() => true,
            () = patience => {
                end(&self.machine);
                false
            }
        }
    }

    /// Boots until it stays up: power may fail again while it recovers, and reads may.
    pub(super) async fn start_again(&mut self) {
        let mut crashes = 0;
        loop {
            let pause = Duration::from_micros(self.chance.in_range(0..30_000));
            self.world.sleep(pause).await;
            self.machine.boot();
            if self.chance.happens(0.2) {
                let by_ms = self.chance.in_range(0..2_000) as i64 - 1_000;
                self.machine.jump_wall_ms(by_ms);
                self.shared.ledger().wall_jumps(by_ms);
            }
            match self.chance.in_range(0..100) {
                0..10 => {
                    if self.starts_although_a_read_fails().await {
                        return;
                    }
                }
                10..40 => {
                    self.plan_power_loss(25, CALLS_OF_A_START);
                    self.start();
                    if self.ended_by(Duration::from_millis(500), Machine::power_loss).await {
                        self.shared.met("crash: inside a start");
                        crashes += 1;
                        if crashes == 2 {
                            self.shared.met("crash: inside a start, twice in a row");
                        }
                        if !self.lost_power {
                            self.shared.met("crash: inside a start after a kill");
                        }
                    }
                    self.end(Fault::PowerLossInCall);
                }
                _ => {
                    self.start();
                    return;
                }
            }
        }
    }

    pub(super) fn start(&mut self) {
        self.process = broker::start(&self.machine, &self.setup);
        self.shared.ledger().booted(Some(self.machine.disk()));
    }

    /// A broker that cannot read what it must know does not start, or not with that directory, and has changed nothing. If it starts nevertheless,
    /// which it may where it did not need to know, all is as ever.
    async fn starts_although_a_read_fails(&mut self) -> bool {
        let part = *self.chance.pick(&["/lane/", "/lane/", "checkpoint-", ".log", "/metadata/", "meta.properties"]);
        let fault = disk::Fault::input_output(Call::Read).on_path(part);
        self.machine.disk().inject(fault.after(self.chance.in_range(0..6)));
        let setup = Setup { may_be_refused: true, ..self.setup.clone() };
        self.process = broker::start(&self.machine, &setup);
        self.shared.ledger().booted(Some(self.machine.disk()));
        let starts = self.process.starts().await;
        if starts && !self.is_directory_offline().await {
            self.shared.met("start: a read failed, and it went well");
            return true;
        }
        self.shared.met(match starts {
            true => "start: a read failed, and a directory is offline",
            false => "start: a read failed, and it was refused",
        });
        self.end(Fault::ReadError);
        false
    }
}
